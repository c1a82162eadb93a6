"""Introductions on the local network, without a server: multicast DNS says where nodes may be, and `lan_post.py` asks them.

Used by the link process. Rule: what multicast DNS says is a rumour that anybody on the LAN can spread: a peer is there when it has answered a
sealed question, and gone when it does not answer any more. Interfaces that come, go or change are followed; IPv6 alone will do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import ifaddr
import msgspec
from zeroconf import Error as ZeroconfError
from zeroconf import IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from wayhouse.base.errors import WayhouseError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.drivers.lan_post import LanPost
from wayhouse.overlay.introduction import Introduction, Seal, make_properties, read_properties
from wayhouse.overlay.model import (
    Heard,
    NoSuchPeerError,
    PeerGone,
    PeerSeen,
    SignalDown,
    SignalEvent,
    SignalUp,
    is_uid,
)
from wayhouse.overlay.stanzas import check_message, check_status

log = logging.getLogger(__name__)

NAME = "mdns"
SERVICE = "_wayhouse-link._udp.local."
"""What is offered is the link, which is UDP; the port is where introductions are heard, by TCP."""
MAX_PEERS = 256
MAX_ADDRESSES = 8
MAX_WAITING = 64
MISSES = 2
RESOLVE_LIMIT_MS = 3000
ASK_LIMIT_S = 4.0
RUMOUR_PAUSE_S = 60.0

Addresses = tuple[tuple[str, int, tuple[str, ...]], ...]
"""Of each interface: its name, index and addresses."""


class _Peer(msgspec.Struct):
    """`places` are host and port, the one that answered last in front."""

    places: list[tuple[str, int]] = msgspec.field(default_factory=list)
    is_seen: bool = False
    is_announced: bool = False
    misses: int = 0
    waiting: deque[tuple[str, str]] = msgspec.field(default_factory=lambda: deque(maxlen=MAX_WAITING))
    wake: asyncio.Event = msgspec.field(default_factory=asyncio.Event)


class MdnsSignaller:
    """A `ports.Signaller`; its work runs in `tasks`. `secret` is the group's, None in an open overlay. A peer is asked every `hello_s`."""

    def __init__(
        self,
        overlay: str,
        tasks: Tasks,
        *,
        secret: bytes | None = None,
        ignored_interfaces: Iterable[str] = (),
        hello_s: float = 20.0,
        look_s: float = 3.0,
    ) -> None:
        self._seal = Seal(overlay, secret)
        self._outer = tasks
        self._ignored = frozenset(ignored_interfaces)
        self._hello_s, self._look_s = hello_s, look_s
        self._running: asyncio.Task[None] | None = None
        self._tasks: Tasks | None = None
        self._post: LanPost | None = None
        self._peers: dict[str, _Peer] = {}
        self._resolving: set[str] = set()
        self._uid, self._status = "", ""
        self._told: SignalEvent | None = None
        self._hear: Callable[[SignalEvent], None] | None = None

    @property
    def name(self) -> str:
        return NAME

    def start(self, uid: str, status: str, hear: Callable[[SignalEvent], None]) -> None:
        """Raises `BadStanzaError` for a status that cannot be told."""
        self._uid, self._status, self._hear = uid, check_status(status), hear
        self._running = self._outer.spawn(self._run(), name=f"{NAME} {uid[:8]}")

    def send(self, uid: str, kind: str, data: str) -> None:
        """Raises `NoSuchPeerError`, and `BadStanzaError` for what no way carries."""
        peer = self._peers.get(uid)
        if peer is None or not peer.is_seen:
            raise NoSuchPeerError(f"{uid} has not been seen on the local network.")
        check_message(kind, data)
        peer.waiting.append((kind, data))
        peer.wake.set()

    async def stop(self) -> None:
        """Everybody is told that we are gone."""
        self._hear = None
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait({running})

    # Being there.

    async def _run(self) -> None:
        async with Tasks() as tasks:
            self._tasks = tasks
            try:
                while True:
                    try:
                        await self._be_there(tasks)
                    except (OSError, ZeroconfError, RuntimeError) as error:
                        self._say(SignalDown(NAME, f"The local network cannot be used: {_reason(error)}"))
                        await asyncio.sleep(self._look_s)
            finally:
                self._tasks = None
                if self._post is not None:
                    self._post.close()

    async def _be_there(self, tasks: Tasks) -> None:
        """From the first usable interface until the interfaces change."""
        interfaces = await self._some_interfaces()
        if self._post is None:
            post = LanPost(self._seal, self._uid, self._status, tasks, self._heard)
            await post.open()
            self._post = post
        dns = AsyncZeroconf(interfaces=_choice(interfaces), ip_version=_version(interfaces))
        browser: AsyncServiceBrowser | None = None
        try:
            await (await dns.async_register_service(self._service(interfaces), cooperating_responders=True))
            browser = AsyncServiceBrowser(dns.zeroconf, SERVICE, handlers=[self._rumour])
            self._say(SignalUp(NAME))
            self._ask_all()
            while usable_interfaces(self._ignored) == interfaces:  # noqa: ASYNC110 - there is nobody to tell us
                await asyncio.sleep(self._look_s)
        finally:
            if self._hear is None:  # we stop: who asks whether the goodbye is true finds it true
                self._post.close()
            await _closed(dns, browser)

    async def _some_interfaces(self) -> Addresses:
        while not (interfaces := usable_interfaces(self._ignored)):
            self._say(SignalDown(NAME, "There is no network: no interface is up with an address."))
            await asyncio.sleep(self._look_s)
        return interfaces

    def _service(self, interfaces: Addresses) -> AsyncServiceInfo:
        return AsyncServiceInfo(
            SERVICE,
            f"{self._uid}.{SERVICE}",
            port=self._post.port if self._post is not None else 0,
            properties=make_properties(self._seal, self._uid),
            server=f"{self._uid}.local.",
            parsed_addresses=[address for _, _, addresses in interfaces for address in addresses],
        )

    # What is said of others.

    def _rumour(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        uid = name.removesuffix(f".{SERVICE}")
        if not is_uid(uid) or uid == self._uid or self._tasks is None:
            return
        if state_change is not ServiceStateChange.Removed:
            if len(self._peers | dict.fromkeys(self._resolving)) < MAX_PEERS or uid in self._peers:
                self._tasks.spawn(self._resolve(zeroconf, name), name=f"{NAME} asks for {uid[:8]}")
        elif uid in self._peers:
            peer = self._peers[uid]
            peer.is_announced, peer.misses = False, max(peer.misses, MISSES - 1)
            peer.wake.set()

    async def _resolve(self, zeroconf: Zeroconf, name: str) -> None:
        if name in self._resolving:
            return
        info = AsyncServiceInfo(SERVICE, name)
        self._resolving.add(name)
        try:
            is_known = await info.async_request(zeroconf, RESOLVE_LIMIT_MS)
        except (OSError, ZeroconfError, AssertionError):
            return
        finally:
            self._resolving.discard(name)
        uid = read_properties(self._seal, info.properties) if is_known else None
        if uid is None or uid == self._uid or not info.port or not name.startswith(uid):
            return
        hosts = info.parsed_scoped_addresses(IPVersion.All)[:MAX_ADDRESSES]
        self._learn(uid, [(host, info.port) for host in hosts]).is_announced = True

    def _learn(self, uid: str, places: Iterable[tuple[str, int]]) -> _Peer:
        peer = self._peers.get(uid)
        if peer is None:
            peer = self._peers[uid] = _Peer()
            if self._tasks is not None:
                self._tasks.spawn(self._keep(uid, peer), name=f"{NAME} keeps {uid[:8]}")
        new = [place for place in places if place not in peer.places]
        peer.places = (peer.places[:1] + new + peer.places[1:])[:MAX_ADDRESSES]
        if new:
            peer.wake.set()
        return peer

    def _heard(self, uid: str, said: Introduction, host: str) -> None:
        if uid not in self._peers and len(self._peers) >= MAX_PEERS:
            return
        peer = self._learn(uid, [(host, said.port)])
        if not said.kind or not peer.is_seen:
            self._is_there(uid, peer, said.status)
        if said.kind:
            self._tell(Heard(uid, said.kind, said.data, NAME))

    # What is known of a peer.

    async def _keep(self, uid: str, peer: _Peer) -> None:
        """Ask it now and then, and send it what waits, in order, until it is gone."""
        while True:
            peer.wake.clear()
            message = peer.waiting.popleft() if peer.waiting else None
            status = await self._ask(uid, peer, *(message or ("", "")))
            if status is None:
                peer.misses += 1
                if message is not None:
                    peer.waiting.appendleft(message)
                if self._is_gone(uid, peer):
                    return
            elif message is None:
                self._is_there(uid, peer, status)
            if status is not None and peer.waiting:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause(peer)):
                    await peer.wake.wait()

    async def _ask(self, uid: str, peer: _Peer, kind: str, data: str) -> str | None:
        """The status of the peer, None if it does not answer: then the next time begins with the place after those that were tried."""
        tried = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ASK_LIMIT_S):
                for place in tuple(peer.places):
                    tried += 1
                    status = await self._ask_at(place, uid, kind, data)
                    if status is not None:
                        others = (one for one in peer.places if one != place and one[1] == place[1])
                        peer.places = [place, *others]  # a node has one port: other ones are of old
                        return status
        peer.places = peer.places[tried:] + peer.places[:tried]
        return None

    async def _ask_at(self, place: tuple[str, int], uid: str, kind: str, data: str) -> str | None:
        if self._post is None:
            return None
        try:
            return await self._post.ask(*place, uid, kind, data)
        except WayhouseError as error:
            log.debug("%s at %s: %s", uid[:8], place[0], error)
            return None

    def _pause(self, peer: _Peer) -> float:
        if peer.is_seen:
            return self._hello_s if peer.misses == 0 else min(1.0, self._hello_s)
        doubled: float = self._hello_s * 2 ** min(peer.misses, 6) / 8
        return min(RUMOUR_PAUSE_S, doubled)

    def _is_there(self, uid: str, peer: _Peer, status: str) -> None:
        peer.is_seen, peer.misses = True, 0
        self._tell(PeerSeen(uid, status, NAME))

    def _is_gone(self, uid: str, peer: _Peer) -> bool:
        """True: it is to be forgotten."""
        if peer.is_seen and peer.misses >= MISSES:
            peer.is_seen = False
            peer.waiting.clear()
            self._tell(PeerGone(uid, NAME))
        if peer.is_seen or (peer.is_announced and peer.places):
            return False
        if self._peers.get(uid) is peer:
            del self._peers[uid]
        return True

    def _ask_all(self) -> None:
        for peer in self._peers.values():
            peer.wake.set()

    def _say(self, event: SignalUp | SignalDown) -> None:
        """Once for each change."""
        if event != self._told:
            self._told = event
            log.info("%s: %s", NAME, getattr(event, "reason", "the local network is heard"))
            self._tell(event)

    def _tell(self, event: SignalEvent) -> None:
        if self._hear is not None:
            self._hear(event)


def usable_interfaces(ignored: Iterable[str] = ()) -> Addresses:
    """All but loopback and those that are ignored, with their addresses."""
    found = []
    for adapter in ifaddr.get_adapters():
        hosts = [ip.ip if isinstance(ip.ip, str) else ip.ip[0] for ip in adapter.ips]
        hosts = sorted(host for host in hosts if host != "::1" and not host.startswith("127."))
        if hosts and adapter.index is not None and adapter.name not in ignored:
            found.append((str(adapter.name), adapter.index, tuple(hosts)))
    return tuple(sorted(found))


def _choice(interfaces: Addresses) -> list[Any]:
    """As zeroconf wants it: IPv4 by address, IPv6 by the interface's index."""
    old = [host for _, _, hosts in interfaces for host in hosts if ":" not in host]
    new = [index for _, index, hosts in interfaces if any(":" in host for host in hosts)]
    return [*old, *new]


def _version(interfaces: Addresses) -> IPVersion:
    choice = _choice(interfaces)
    if all(isinstance(one, str) for one in choice):
        return IPVersion.V4Only
    return IPVersion.V6Only if all(isinstance(one, int) for one in choice) else IPVersion.All


async def _closed(dns: AsyncZeroconf, browser: AsyncServiceBrowser | None) -> None:
    """Say goodbye, as far as the network lets us."""
    with contextlib.suppress(OSError, ZeroconfError, TimeoutError):
        if browser is not None:
            await browser.async_cancel()
        async with asyncio.timeout(2.0):
            await dns.async_close()


def _reason(error: Exception) -> str:
    strerror = getattr(error, "strerror", None)
    return f"{strerror or str(error)[:120] or type(error).__name__}."
