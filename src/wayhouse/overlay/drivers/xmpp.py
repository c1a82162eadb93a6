"""Introductions over XMPP: signs in, stays signed in, and tells who is there and what they say.

Used by the link process, one for each account of a node. Thin: `xmpp_client.py` speaks, `acquaintances.py` knows who is who; here are only the
times: when to connect anew, to ping, and to tell the status again. Rule: a refused password is told once and never tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable

from wayhouse.base.errors import UnavailableError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.acquaintances import Acquaintances, bare
from wayhouse.overlay.drivers.xmpp_client import MAX_UNACKNOWLEDGED, XmppClient
from wayhouse.overlay.model import NoSuchPeerError, SignalDown, SignalEvent, SignalUp
from wayhouse.overlay.stanzas import (
    BadStanzaError,
    Services,
    check_status,
    lacking_credentials,
    make_credentials,
    make_query,
    make_services,
    read_query,
    read_services,
    read_status,
    resource_of,
)

log = logging.getLogger(__name__)

SIGN_IN_LIMIT_S = 20.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
GOOD_SESSION_S = 10.0
"""A session that lasted so long makes the pauses short again."""
RETURN_LIMIT_S = 10.0
"""Who has not been seen so long after a new session began is gone."""
GOODBYE_LIMIT_S = 2.0


class XmppSignaller:
    """A `ports.Signaller`; its work runs in `tasks`."""

    def __init__(self, account: XmppAccount, tasks: Tasks) -> None:
        self._account = account
        self._tasks = tasks
        self._name = f"xmpp:{account.jid.lower()}"
        self._running: asyncio.Task[None] | None = None
        self._client: XmppClient | None = None
        self._hear: Callable[[SignalEvent], None] | None = None
        self._known = Acquaintances(self._name, account.jid, account.friends, "")
        self._status = ""
        self._told = ""
        self._has_roster = False
        self._is_up = asyncio.Event()
        self._hurry = asyncio.Event()
        self._connection: Tasks | None = None

    def __repr__(self) -> str:
        return f"XmppSignaller({self._name})"

    @property
    def name(self) -> str:
        return self._name

    @property
    def is_up(self) -> bool:
        return self._is_up.is_set()

    def start(self, uid: str, status: str, hear: Callable[[SignalEvent], None]) -> None:
        """Raises `BadStanzaError` for a status that cannot be told."""
        self._status = check_status(status)
        self._hear = hear
        self._known = Acquaintances(self._name, self._account.jid, self._account.friends, uid)
        self._client = XmppClient(self._account, resource_of(uid), self)
        self._running = self._tasks.spawn(self._run(self._client), name=self._name)

    def send(self, uid: str, kind: str, data: str) -> None:
        """Raises `NoSuchPeerError` (also while signed out), and `BadStanzaError` for what no stanza can carry."""
        jid = self._known.jid_of(uid)
        query = make_query(kind, data)
        if self._client is None or not self._client.is_in_session:
            raise NoSuchPeerError(f"{self._name} is not signed in: {self._told or 'it has just begun'}")
        iq = self._client.make_iq(id=self._client.new_id(), itype="get", ito=jid)
        iq.append(query)
        self._client.post(iq)

    def hurry(self) -> None:
        """The addresses of this machine have changed: look at once whether the server answers, and connect at once if it does not."""
        self._hurry.set()

    async def stop(self) -> None:
        """Sign out: everybody is told that we are gone."""
        self._hear = None
        running, self._running = self._running, None
        if self._client is not None:
            await self._client.say_goodbye(GOODBYE_LIMIT_S)
        if running is not None:
            running.cancel()
            await asyncio.wait({running})
        self._is_up.clear()

    async def services(self) -> Services:
        """The STUN and TURN servers that this server tells its users of (XEP-0215), with credentials for a while. Raises `UnavailableError`."""
        client = self._client
        if client is None or not self.is_up:
            raise UnavailableError(f"{self._name} is not signed in: {self._told or 'it has just begun'}")
        try:
            answer = await client.ask(self._account.domain, make_services(), SIGN_IN_LIMIT_S)
            if answer is None:
                return Services()
            for host, kind in lacking_credentials(answer)[:4]:
                given = await client.ask(self._account.domain, make_credentials(host, kind), SIGN_IN_LIMIT_S)
                answer.extend(() if given is None else given)
        except TimeoutError as error:
            raise UnavailableError(f"{self._name}: the server did not answer.") from error
        return read_services(answer)

    # The life of the account.

    async def _run(self, client: XmppClient) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            self._hurry.clear()
            await self._one_connection(client)
            failures = 0 if loop.time() - began > GOOD_SESSION_S else failures + 1
            self._went_down(client)
            if client.is_final:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_pause(failures)):
                    await self._hurry.wait()

    async def _one_connection(self, client: XmppClient) -> None:
        async with Tasks() as tasks:
            self._connection = tasks
            try:
                client.begin(tasks)
                async with asyncio.timeout(SIGN_IN_LIMIT_S):
                    await client.settled.wait()
                await client.over.wait()
            except TimeoutError:
                client.give_up("The server does not answer, or is no XMPP server.")
            except OSError as error:
                client.give_up(f"The CA file cannot be read: {error.strerror or type(error).__name__}.")
            finally:
                self._connection = None
                await client.finish()

    def _went_down(self, client: XmppClient) -> None:
        was_up = self._is_up.is_set()
        self._is_up.clear()
        if was_up or client.reason != self._told:
            self._told = client.reason
            log.warning("%s: %s", self._name, client.reason)
            self._tell([SignalDown(self._name, client.reason, client.is_final)])

    async def _open(self, client: XmppClient) -> None:
        """A new session: the roster first, so that we know whom to listen to."""
        self._known.new_session()
        self._has_roster = False
        try:
            await client.ask(None, ET.Element("{jabber:iq:roster}query"), SIGN_IN_LIMIT_S)
        except TimeoutError:
            client.give_up("The server does not answer.")
            return
        self._has_roster = True
        self._came_up(client)
        for jid in self._known.wanted() if self._account.invites else ():
            client.post(client.make_presence(ptype="subscribe", pto=jid))
        await asyncio.sleep(RETURN_LIMIT_S)
        self._tell(self._known.expire_stale())

    def _came_up(self, client: XmppClient) -> None:
        if self._is_up.is_set() or self._connection is None:
            return
        self._told = ""
        self._is_up.set()
        log.info("%s: signed in", self._name)
        self._tell([SignalUp(self._name)])
        self._connection.spawn(self._ping(client), name=f"{self._name} pings")
        self._connection.spawn(self._announce(client), name=f"{self._name} tells its status")

    async def _announce(self, client: XmppClient) -> None:
        """Peers that lost us connect anew when they hear this."""
        while True:
            client.post(client.make_presence(pstatus=self._status, ppriority=0))
            await asyncio.sleep(self._account.presence_s)

    async def _ping(self, client: XmppClient) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._account.ping_s):
                    await self._hurry.wait()
            self._hurry.clear()
            try:
                ping = ET.Element("{urn:xmpp:ping}ping")
                await client.ask(self._account.domain, ping, self._account.ping_timeout_s)
            except TimeoutError:
                client.give_up("The server does not answer any more.")
            if client.unacknowledged > MAX_UNACKNOWLEDGED:
                client.give_up("The server does not acknowledge what is sent to it.")

    # What the client hears (`xmpp_client.Ears`).

    def session(self, *, is_resumed: bool) -> None:
        if self._client is None or self._connection is None:
            return
        if is_resumed and self._has_roster:
            self._came_up(self._client)
        else:
            self._connection.spawn(self._open(self._client), name=f"{self._name} opens its session")

    def presence(self, jid: str, kind: str, element: ET.Element) -> None:
        if kind == "":
            self._tell(self._known.present(jid, read_status(element)))
        elif kind in {"unavailable", "error"}:
            self._tell(self._known.absent(jid))
        elif kind == "subscribe" and self._client is not None and self._known.may_befriend(jid):
            self._client.post(self._client.make_presence(ptype="subscribed", pto=bare(jid)))
            if bare(jid) in self._known.wanted():
                self._client.post(self._client.make_presence(ptype="subscribe", pto=bare(jid)))

    def query(self, jid: str, element: ET.Element) -> None:
        try:
            kind, data = read_query(element)
        except BadStanzaError as error:
            log.debug("%s: %s", self._name, error)
            return
        self._tell(self._known.heard(jid, kind, data))

    def roster(self, items: dict[str, str], *, is_whole: bool) -> None:
        self._tell(self._known.roster(items, is_whole=is_whole))

    def hears(self, jid: str) -> bool:
        return self._known.hears(jid)

    def _tell(self, events: Iterable[SignalEvent]) -> None:
        for event in events:
            if self._hear is not None:
                self._hear(event)


def _pause(failures: int) -> float:
    """Doubles with every failure; half of it by chance, so that not all nodes come back in the same moment."""
    longest: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures, 10))
    return longest * (500 + secrets.randbelow(501)) / 1000
