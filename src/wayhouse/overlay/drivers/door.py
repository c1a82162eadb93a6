"""Opens the door: listens at this gateway's addresses, IPv4 and IPv6, in each overlay that something is shared in, and passes connections for shared apps on.

Run by the gateway beside the devices. Rules: a socket belongs to the overlay's interface (SO_BINDTODEVICE) and ends with it, so no other network can pretend
to be a peer; who connects is the peer whose tunnel has the address, or nobody; nothing listens while nothing is shared.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from wayhouse.base import ids
from wayhouse.base.clock import Clock
from wayhouse.base.errors import WayhouseError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.devices.service import Devices
from wayhouse.overlay import door_words as words
from wayhouse.overlay import shares
from wayhouse.overlay.drivers.pass_on import pass_on
from wayhouse.overlay.goods import Goods, Services
from wayhouse.overlay.model import LinkStatus
from wayhouse.overlay.once import Once
from wayhouse.overlay.service import Overlays
from wayhouse.overlay.shares import DOOR_PORT, Good, Visitor
from wayhouse.overlay.views import OverlayChanged, OverlayState
from wayhouse.overlay.visit import Guest, Visit

log = logging.getLogger(__name__)

LOOK_S = 1.0
MOST_OF_ONE, MOST = 16, 256
"""Connections of one peer, and of all."""
GIVE_UP_MS = 15_000
BACKLOG = 32
IP_FREEBIND, IPV6_FREEBIND = 15, 78
"""`linux/in.h` and `linux/in6.h`: the address may come a moment after the interface."""
Serve = Callable[["Place", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Place(msgspec.Struct, frozen=True):
    """Where to listen. `index` is the interface's, another one when it was made anew; 0 without one."""

    overlay: str
    address: str
    port: int
    interface: str
    index: int


class Door:
    """`web_port` gives the port of a running chute's page on this machine."""

    def __init__(
        self,
        overlays: Overlays,
        devices: Devices,
        services: Services,
        *,
        events: Events,
        clock: Clock,
        web_port: Callable[[str], int | None] = lambda _: None,
        port: int = DOOR_PORT,
    ) -> None:
        self._overlays, self._devices, self._services = overlays, devices, services
        self._events, self._clock, self._web_port, self._port = events, clock, web_port, port
        self._open: dict[Place, asyncio.Server] = {}
        self._visitors: list[str] = []
        self._told: set[Place] = set()
        self._hello = words.Hello(instance=ids.token_hex(64), gateway=devices.hostname)

    async def run(self) -> None:
        """Until cancelled, which closes everything."""
        async with Tasks() as tasks:
            self._tasks = tasks
            self._goods = Goods(self._devices, self._services, Once(tasks))
            try:
                await self._keep_looking()
            finally:
                for server in self._open.values():
                    server.close()
                self._open.clear()

    async def _keep_looking(self) -> None:
        with self._events.subscribe(OverlayChanged, limit=1) as changed:
            while True:
                await self.look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await anext(changed)

    async def look(self) -> None:
        """Listen where something is shared, and nowhere else."""
        wanted = {place for name in self._overlays.names() for place in self._places(name)}
        for place in self._open.keys() - wanted:
            self._open.pop(place).close()
        self._told &= wanted
        for place in wanted - self._open.keys():
            try:
                self._open[place] = await self._listen(place)
            except OSError as error:
                if place not in self._told and error.errno != errno.EAFNOSUPPORT:
                    log.warning(
                        "overlay %s: peers cannot reach port %d of %s: %s",
                        place.overlay,
                        place.port,
                        place.address,
                        error,
                    )
                self._told.add(place)

    def ports(self, family: int | None = None) -> list[int]:
        """Where it listens now, at addresses of IPv4 and IPv6 or of one family."""
        sockets = (one.sockets[0] for one in self._open.values())
        return sorted(one.getsockname()[1] for one in sockets if family in {None, one.family})

    # ---- inside

    def _places(self, name: str) -> Iterator[Place]:
        given = self._overlays.shares(name)
        one = self._overlays.state(name).overlay
        if not given:
            return
        index = _index(one.interface)
        if one.interface and not index:
            return
        ports = set(shares.app_ports(given))
        if any(share.good is not Good.APP for share in given):
            ports.add(self._port)
        for port in ports:
            for address in filter(None, (one.ip4, one.ip6)):
                yield Place(name, address, port, one.interface, index)

    async def _listen(self, place: Place) -> asyncio.Server:
        sock = _listening(place)
        serve = self._visit if place.port == self._port else self._pass_on
        return await asyncio.start_server(
            lambda reader, writer: self._welcome(place, serve, reader, writer),
            sock=sock,
            limit=words.MOST_LINE,
            backlog=BACKLOG,
        )

    def _welcome(
        self, place: Place, serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        address = writer.get_extra_info("peername")[0]
        guest = self._guest(place.overlay, address)
        if guest is None or not guest.given or not self._has_room(guest.visitor):
            log.debug("overlay %s: %s is sent away", place.overlay, address)
            writer.transport.abort()
            return
        visitor = guest.visitor
        self._visitors.append(visitor.uid)
        self._tasks.spawn(
            self._serve(place, serve, visitor.uid, reader, writer), name=f"door {visitor.title}"
        )

    def _has_room(self, visitor: Visitor) -> bool:
        return len(self._visitors) < MOST and self._visitors.count(visitor.uid) < MOST_OF_ONE

    async def _serve(
        self, place: Place, serve: Serve, uid: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            _keep_short(writer)
            await serve(place, reader, writer)
        except OSError:
            pass
        finally:
            self._visitors.remove(uid)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _visit(self, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("peername")[0]
        visit = Visit(
            self._goods,
            lambda: self._guest(place.overlay, address),
            events=self._events,
            clock=self._clock,
            hello=self._hello,
        )
        await visit.run(reader, writer)

    async def _pass_on(
        self, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """To the shared app at this port, as long as it is shared with this peer."""
        address = writer.get_extra_info("peername")[0]

        def is_given() -> bool:
            guest = self._guest(place.overlay, address)
            return guest is not None and place.port in shares.app_ports(guest.given)

        chute = shares.app_ports(self._overlays.shares(place.overlay)).get(place.port, "")
        port = self._web_port(chute) if is_given() else None
        if port is not None:
            await pass_on(reader, writer, port, may_go_on=is_given, clock=self._clock)

    def _guest(self, overlay: str, address: str) -> Guest | None:
        try:
            visitor = visitor_at(self._overlays.state(overlay), address)
            return (
                None
                if visitor is None
                else Guest(visitor, shares.given(self._overlays.shares(overlay), visitor))
            )
        except WayhouseError:
            return None  # it was left


def visitor_at(state: OverlayState, address: str) -> Visitor | None:
    """Whose tunnel has this address, however it is written; None if nobody's that is online."""
    asked = _read(address)
    for one in state.links:
        if (
            one.status is LinkStatus.ONLINE
            and asked is not None
            and asked in {_read(one.ip4), _read(one.ip6)}
        ):
            return Visitor(overlay=state.overlay.name, uid=one.uid, name=one.name, tags=frozenset(one.tags))
    return None


@functools.lru_cache(maxsize=8192)  # it is asked for each word that a peer says
def _read(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None


def _listening(place: Place) -> socket.socket:
    """Raises `OSError`."""
    family = socket.AF_INET6 if ":" in place.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        if place.interface:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, place.interface.encode())
        sock.bind((place.address, place.port))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _keep_short(writer: asyncio.StreamWriter) -> None:
    """A peer that is cut off is noticed."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GIVE_UP_MS)


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface) if interface else 0
    except OSError:
        return 0
