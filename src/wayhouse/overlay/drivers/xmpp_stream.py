"""slixmpp's stream made strict: TLS or nothing, SCRAM or nothing, bounded stanzas, and no task that outlives its connection.

`xmpp_client.py` builds on it. Rule: nothing that comes counts before it may, and whatever the server does ends in a reason, never in an error. What it
changes of slixmpp: what it logs (it prints whole stanzas), what it takes before TLS (anything), how long it reads (without end), how
it connects anew (by itself), how it ends (leaving tasks), and how it signs in (see `xmpp_login.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Callable, Coroutine
from typing import Any

from slixmpp import ClientXMPP
from slixmpp.jid import JID
from slixmpp.plugins.xep_0198.stanza import Enable
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath
from slixmpp.xmlstream.stanzabase import StanzaBase

from wayhouse.base.errors import WayhouseError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.account import Tls, XmppAccount
from wayhouse.overlay.drivers.xmpp_login import SASL, Login, Refused
from wayhouse.overlay.drivers.xmpp_tls import explain, make_context, refusal

log = logging.getLogger(__name__)

MAX_STANZA = 256 * 1024
MAX_DEPTH = 24
TURNS_TO_END = 5
"""Of the event loop: after so many, an aborted transport has told that it is gone."""
RESUMABLE_S = 120
"""For how long the server shall keep a session whose connection was lost (XEP-0198)."""
_STREAM = "{http://etherx.jabber.org/streams}"
_TLS = "{urn:ietf:params:xml:ns:xmpp-tls}"
_BEFORE_TLS = {f"{_STREAM}features", f"{_STREAM}error", f"{_TLS}proceed", f"{_TLS}failure"}
_BEFORE_LOGIN = {f"{_STREAM}features", f"{_STREAM}error"} | {
    f"{{{SASL}}}{name}" for name in ("challenge", "success", "failure")
}
_STREAM_ERRORS = {
    "conflict": "Another program signed in under the same uid: every node needs one of its own.",
    "system-shutdown": "The server is shutting down.",
    "see-other-host": "The server sends us to another one: name that one as the host.",
    "policy-violation": "The server says that we broke its rules.",
}
_REPLACED = ("Stream Features", "STARTTLS Proceed", "SASL Success", "SASL Failure", "SASL Challenge")


class XmppStream(ClientXMPP):
    """One connection after the other: `begin`, wait for `settled` (there is a session, or it is over) and for `over`, then `finish`.

    `reason` says why the last one ended, `is_final` that the next would end the same.
    """

    def __init__(self, account: XmppAccount, resource: str) -> None:
        _keep_quiet()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # each connection is given its own
        super().__init__(JID(f"{account.jid}/{resource}"), "not told to slixmpp", ssl_context=context)
        self.account = account
        self.reason = ""
        self.is_final = False
        self.settled = asyncio.Event()
        self.over = asyncio.Event()
        self._context: ssl.SSLContext | None = None
        self._tasks: Tasks | None = None
        self._login = Login(account, self.send_raw)
        self._is_switching = False
        self._unread = 0
        self.enable_direct_tls = account.tls is Tls.DIRECT
        self.enable_starttls = account.tls is Tls.STARTTLS
        self.register_plugin("xep_0198")
        self._take_over()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.account.jid})"

    @property
    def is_encrypted(self) -> bool:
        return isinstance(self.socket, ssl.SSLSocket | ssl.SSLObject)

    @property
    def is_in_session(self) -> bool:
        return bool(self._session_started and self.transport is not None)

    def begin(self, tasks: Tasks) -> None:
        """Connect once. Raises `OSError` if the CA file cannot be read."""
        self._tasks, self.reason, self.is_final = tasks, "", False
        self._is_switching = False
        self.settled.clear()
        self.over.clear()
        if self._context is None:
            self._context = make_context(self.account)
        self.ssl_context = self._context
        self.connect(*((self.account.host, self.account.port) if self.account.host else (None, None)))

    def give_up(self, reason: str, *, is_final: bool = False) -> None:
        """End this connection now; the first reason counts."""
        if not self.reason:
            self.reason, self.is_final = reason, is_final
        self.cancel_connection_attempt()
        if self.transport is not None:
            self.transport.abort()
        self._end()

    async def finish(self) -> None:
        """Nothing of this connection is left: no transport, no task, no timer."""
        self.give_up("It was closed.")
        attempt = self._run_out_filters
        if attempt is not None:
            attempt.cancel()
            await asyncio.wait({attempt})
        for _ in range(TURNS_TO_END):
            await asyncio.sleep(0)
        if (
            self.transport is not None
        ):  # asyncio tells us nothing of one that ends in the middle of the TLS handshake
            self.connection_lost(None)
        for name in tuple(self.scheduled_events):
            self.cancel_schedule(name)

    async def say_goodbye(self, limit_s: float) -> None:
        """End the session in order: the server tells everybody that we are gone, and keeps nothing to resume."""
        if self.is_in_session:
            self.send_raw(f"<presence type='unavailable'/>{self.stream_footer}")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await self.over.wait()

    def send_raw(self, data: str | bytes) -> None:
        """As slixmpp's, without printing it."""
        if self.transport is not None:
            self.transport.write(data.encode() if isinstance(data, str) else data)

    def on(self, tag: str, pointer: Callable[[Any], None]) -> None:
        """Call `pointer` with the stanzas of this tag."""
        self.register_handler(Callback(tag, MatchXPath(tag), pointer))

    # What slixmpp does otherwise.

    def _take_over(self) -> None:
        for name in _REPLACED:
            self.remove_handler(name)
        self.unregister_feature("mechanisms", 100)
        self.register_feature("mechanisms", self._sign_in, restart=True, order=100)
        starttls: Any = self.plugin["feature_starttls"]
        self.on(f"{_STREAM}features", lambda stanza: self._spawn(self._handle_stream_features(stanza)))
        self.on(f"{_TLS}proceed", lambda stanza: self._spawn(starttls._handle_starttls_proceed(stanza)))  # noqa: SLF001
        self.on(f"{_TLS}failure", lambda _: self.give_up("The server cannot do TLS now."))
        self.on(f"{{{SASL}}}challenge", self._challenged)
        self.on(f"{{{SASL}}}success", self._let_in)
        self.on(f"{{{SASL}}}failure", self._refused)
        self.add_filter("out_sync", _limit_resumption)
        for name in ("session_start", "session_resumed"):
            self.add_event_handler(name, lambda _: self.settled.set())
        self.add_event_handler("connection_failed", self._failed)
        self.add_event_handler("ssl_invalid_chain", self._mistrusted)
        self.add_event_handler("disconnected", self._ended)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        if self._tasks is None or self.over.is_set():
            work.close()
        else:
            self._tasks.spawn(self._guarded(work), name=f"xmpp {self.account.jid}")

    async def _guarded(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the border to slixmpp: its negotiation trusts the server
            self.give_up(f"The server does not keep to XMPP ({type(error).__name__}).")

    def connection_made(self, transport: asyncio.BaseTransport, send_event: bool = True) -> None:  # noqa: FBT001, FBT002
        """slixmpp's, after a look at the certificate: it is called anew when TLS begins."""
        tls = transport.get_extra_info("ssl_object")
        reason = "" if tls is None else refusal(self.account, tls.getpeercert(True))
        self._unread, self._is_switching = 0, False
        if reason or self.over.is_set():
            self.transport = transport  # type: ignore[assignment]
            self.give_up(reason)
            return
        super().connection_made(transport, send_event)

    def data_received(self, data: bytes | str) -> None:
        """slixmpp's, with limits, and without printing what cannot be parsed."""
        if self.parser is None or self.reason:
            return
        self._unread += len(data)
        try:
            self.parser.feed(data)
            events: Any = self.parser.read_events()
            for event, element in events:
                self._read(event, element)
        except ET.ParseError:
            self.give_up("The server sent what is no XML.")
        if self._unread > MAX_STANZA:
            self.give_up(f"The server sent a stanza of more than {MAX_STANZA} bytes.")

    def _read(self, event: str, element: ET.Element) -> None:
        if self.reason:
            return
        if event == "start":
            if self.xml_depth == 0:
                self.xml_root = element
                self.start_stream_handler(element)  # type: ignore[no-untyped-call]
            self.xml_depth += 1
            if self.xml_depth > MAX_DEPTH:
                self.give_up(f"The server sent a stanza that is more than {MAX_DEPTH} deep.")
            return
        self.xml_depth -= 1
        if self.xml_depth == 0:
            self.give_up("The server ended the connection.")
        elif self.xml_depth == 1:
            self._unread = 0
            self._spawn_event(element)
            if self.xml_root is not None:
                self.xml_root.clear()

    def _spawn_event(self, xml: ET.Element) -> None:
        """Nothing counts that came before it may: what is sent in clear could be anybody's."""
        allowed = None if self.authenticated else _BEFORE_LOGIN if self.is_encrypted else _BEFORE_TLS
        if self._is_switching or (allowed is not None and xml.tag not in allowed):
            self.give_up("The server does not keep to XMPP: it sends too early.")
            return
        self._is_switching = xml.tag == f"{_TLS}proceed"
        super()._spawn_event(xml)

    def reschedule_connection_attempt(self) -> None:
        """slixmpp would try for ever: whoever began this connection decides."""
        self.give_up("The server cannot be reached.")

    def exception(self, exception: Exception) -> None:
        """A stanza that one of the handlers could not take: it changes nothing."""
        log.warning("%s: a stanza could not be understood (%s)", self.account.jid, type(exception).__name__)

    def _start_keepalive(self, event: Any) -> None:
        """There are pings."""

    def _handle_stream_error(self, error: Any) -> None:
        condition = str(error["condition"])[:60]
        self.give_up(_STREAM_ERRORS.get(condition, f"The server ended the connection: {condition}."))

    async def _handle_stream_features(self, features: Any) -> bool | None:
        if not self.is_encrypted and "starttls" not in features["features"]:
            self.give_up("The server offers no TLS: without, nothing is told to it.")
            return None
        return await super()._handle_stream_features(features)

    def _sign_in(self, features: Any) -> bool:
        if self.authenticated:
            return False
        tls: Any = self.socket
        if self.is_encrypted:
            self._try(lambda elements: self._login.begin(elements, tls), features.xml)
        return True

    def _challenged(self, stanza: Any) -> None:
        self._try(self._login.challenge, stanza.xml)

    def _let_in(self, stanza: Any) -> None:
        self._try(self._login.success, stanza.xml)
        if not self.reason:
            self.authenticated = True
            self.features.add("mechanisms")
            self.init_parser()
            self.send_raw(self.stream_header)

    def _refused(self, stanza: Any) -> None:
        refused = self._login.failure(stanza.xml)
        self.give_up(refused.reason, is_final=refused.is_final)

    def _try(self, step: Callable[[ET.Element], None], element: ET.Element) -> None:
        try:
            step(element)
        except Refused as refused:
            self.give_up(refused.reason, is_final=refused.is_final)
        except WayhouseError as error:
            self.give_up(error.message)

    def _failed(self, error: Any) -> None:
        self._context = None if isinstance(error, ssl.SSLError) else self._context
        self.reason = self.reason or explain(error)

    def _mistrusted(self, error: Any) -> None:
        self._context = None  # who corrects the CA file need not start us anew
        self.give_up(explain(error))

    def _ended(self, event: Any) -> None:
        self.reason = self.reason or explain(event)
        self._end()

    def _end(self) -> None:
        self.over.set()
        self.settled.set()


def _limit_resumption(stanza: StanzaBase) -> StanzaBase:
    if isinstance(stanza, Enable):
        stanza.xml.set("max", str(RESUMABLE_S))
    return stanza


def _keep_quiet() -> None:
    """slixmpp prints whole stanzas, and what they hold of passwords, at DEBUG; what people need of its warnings, they get as our reasons."""
    for name in ("slixmpp", "slixmpp.xmlstream.xmlstream"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL)
        if _is_critical not in logger.filters:
            logger.addFilter(_is_critical)


def _is_critical(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.CRITICAL
