"""What goes over a signed-in XMPP stream: presences, tincan's queries, the roster, pings and questions to the server.

Used by `xmpp.py`. Rule: it decides nothing about peers but asks its `Ears` whom to hear; strangers get the answer of a device that is not there.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any, Protocol

from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.jid import InvalidJID
from slixmpp.stanza import Iq, Message, Presence
from slixmpp.xmlstream.stanzabase import StanzaBase

from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.drivers.xmpp_stream import XmppStream
from wayhouse.overlay.stanzas import NAMESPACE

MAX_UNSENT = 1024 * 1024
MAX_QUEUED = 1000
MAX_UNACKNOWLEDGED = 1000
_IQ = "{jabber:client}iq"


class Ears(Protocol):
    """Who hears what the client hears."""

    def session(self, *, is_resumed: bool) -> None: ...

    def presence(self, jid: str, kind: str, element: ET.Element) -> None: ...

    def query(self, jid: str, element: ET.Element) -> None: ...

    def roster(self, items: dict[str, str], *, is_whole: bool) -> None:
        """Subscriptions by bare JID."""
        ...

    def hears(self, jid: str) -> bool: ...


class XmppClient(XmppStream):
    def __init__(self, account: XmppAccount, resource: str, ears: Ears) -> None:
        super().__init__(account, resource)
        self._ears = ears
        for name in ("Roster Update", "IM", "IMError"):
            self.remove_handler(name)
        self.on(f"{_IQ}/{{jabber:iq:roster}}query", self._roster_pushed)
        self.on(f"{_IQ}/{{{NAMESPACE}}}query", self._queried)
        self.on(f"{_IQ}/{{urn:xmpp:ping}}ping", self._pinged)
        self.add_filter("in", self._gate)
        self.add_event_handler("session_start", lambda _: self._ears.session(is_resumed=False))
        self.add_event_handler("session_resumed", lambda _: self._ears.session(is_resumed=True))

    @property
    def unacknowledged(self) -> int:
        """How many stanzas the server has not confirmed (XEP-0198)."""
        return len(self.plugin["xep_0198"].unacked_queue)

    def post(self, stanza: Iq | Presence) -> None:
        """Send without waiting for an answer. Does nothing without a session, or when the server does not read."""
        if self.is_in_session and self.transport is not None:
            if self.transport.get_write_buffer_size() > MAX_UNSENT or self.waiting_queue.qsize() > MAX_QUEUED:
                self.give_up("The server does not read what is sent to it.")
            else:
                self.send(stanza)

    async def ask(self, to: str | None, element: ET.Element, limit_s: float) -> ET.Element | None:
        """The result's first element; None: it was answered with an error, or with nothing. Raises `TimeoutError`."""
        iq = self.make_iq(itype="get", ito=to)
        iq.append(element)
        try:
            answer = await iq.send(timeout=limit_s)  # type: ignore[no-untyped-call]
        except IqError:
            return None
        except IqTimeout as error:
            raise TimeoutError from error
        return next(iter(answer.xml), None)

    def _gate(self, stanza: StanzaBase) -> StanzaBase | None:
        """Runs after the stanzas were counted for XEP-0198."""
        if not isinstance(stanza, Iq | Presence | Message):
            return stanza
        try:
            sender = str(stanza["from"])
        except InvalidJID:
            return None
        if isinstance(stanza, Message) or (isinstance(stanza, Presence) and not self.bound):
            return None
        if isinstance(stanza, Presence) or self._is_own(sender) or self._ears.hears(sender):
            return stanza
        if stanza["type"] in {"get", "set"}:
            self._answer_unavailable(stanza)
            return None
        return stanza

    def _is_own(self, sender: str) -> bool:
        return sender.lower() in {"", self.account.domain.lower(), self.account.jid.lower()}

    def _answer_unavailable(self, iq: Iq) -> None:
        reply = _reply(iq)
        reply["type"] = "error"
        reply["error"]["type"] = "cancel"
        reply["error"]["condition"] = "service-unavailable"
        self.post(reply)

    def _handle_presence(self, presence: Presence) -> None:
        """In place of slixmpp's, which remembers whoever sends one."""
        self._ears.presence(str(presence["from"]), presence.xml.get("type", ""), presence.xml)

    def _roster_pushed(self, iq: Iq) -> None:
        """The answer to our question, or a change: only from our own server (RFC 6121 section 2.1.6)."""
        if str(iq["from"]).lower() not in {"", self.account.jid.lower()} or iq["type"] not in {
            "set",
            "result",
        }:
            return
        items = {
            str(item.get("jid", "")): str(item.get("subscription", "none"))
            for item in iq.xml.iter("{jabber:iq:roster}item")
        }
        self._ears.roster(items, is_whole=iq["type"] == "result")
        if iq["type"] == "set":
            self.post(_reply(iq))

    def _queried(self, iq: Iq) -> None:
        """A peer's message: answered with an empty result, so that nobody waits for more."""
        if iq["type"] in {"get", "set"}:
            element = iq.xml.find(f"{{{NAMESPACE}}}query")
            self.post(_reply(iq))
            if element is not None:
                self._ears.query(str(iq["from"]), element)

    def _pinged(self, iq: Iq) -> None:
        if iq["type"] == "get":
            self.post(_reply(iq))


def _reply(iq: Iq) -> Any:
    return iq.reply()  # type: ignore[no-untyped-call]
