"""Finds a TURN server that relays for one path, keeps the allocation, and finds another when it is gone.

Used by `ice`. The servers are tried in their order, each a little later than the one before, over UDP (on the path's own socket), TCP or TLS; the first
that allocates is taken. Rule: never raises because of a server, and never sends a password.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import socket
from collections import deque
from typing import Protocol

from wayhouse.base.tasks import Tasks
from wayhouse.overlay import relay_authority
from wayhouse.overlay.ice import channel, stun
from wayhouse.overlay.ice.stun import BadStunError, Host, Message
from wayhouse.overlay.ice.turn import Allocated, Allocation, Gone, Refused, Relayed
from wayhouse.overlay.model import TurnServer

_STAGGER_S = 0.4
_CONNECT_S = 4.0
_HURRIED_S = 2.0
"""For a connection while there is no path at all."""
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 3.0)
_CALM_S = 30.0
"""Between the tries after several failures while there is a path without a relay."""
_REFUSED_S = 30.0
"""After a server that said no."""
_UPGRADE_S = 30.0
"""Between the looks for a UDP relay while the one in use is a stream."""
_DEAD_S = 2.5
"""A stream on which nothing came for so long after it was probed is given up."""
_MOST_QUEUED = 1 << 18
_OUT = 512


class RelayUser(Protocol):
    """The path that wants to be relayed."""

    def send_udp(self, server: Host, data: bytes) -> None: ...

    def relay_up(self, relay: Relay) -> None: ...

    def relay_down(self, relay: Relay) -> None: ...

    def relay_data(self, relay: Relay, source: Host, data: bytes) -> None: ...

    def relay_busy(self) -> None:
        """Something is to be done: `tick`, and look at the deadline again."""
        ...

    def has_path(self) -> bool: ...


@dataclasses.dataclass(eq=False)
class Relay:
    """A server, and how far we are with it."""

    name: str
    server: TurnServer
    order: int
    address: Host
    allocation: Allocation | None = None
    is_up: bool = False
    is_over: bool = False
    failures: int = 0
    next_try: float = 0.0
    last_heard: float = 0.0
    probed_at: float | None = None
    error: str = ""
    writer: asyncio.StreamWriter | None = None
    task: asyncio.Task[None] | None = None
    queue: deque[tuple[Host, bytes]] = dataclasses.field(default_factory=lambda: deque(maxlen=_OUT))

    @property
    def is_stream(self) -> bool:
        return self.server.transport != "udp"

    @property
    def is_trying(self) -> bool:
        return self.allocation is not None and not self.is_up


class Relays:
    """`authority` signs certificates of relays besides those whom this machine trusts (PEM). Feed `hear`, `unwrap` and `tick`."""

    def __init__(self, user: RelayUser, tasks: Tasks, authority: str = "") -> None:
        self._user = user
        self._tasks = tasks
        self._authority = authority
        self._loop = asyncio.get_running_loop()
        self._relays: list[Relay] = []
        self._begun_at: float | None = None
        self._upgrade_at = 0.0
        self._is_closed = False
        self._has_tried = False
        self.last_error = ""

    # for the path

    def start(self, servers: list[tuple[TurnServer, Host]]) -> None:
        """Each server with its address; a name with several addresses comes several times."""
        for server, address in servers:
            number = len(self._relays)
            self._relays.append(Relay(f"relay{number}", server, number, address))
        self._begun_at = self._loop.time()
        self._user.relay_busy()

    def is_busy(self) -> bool:
        """Whether no server has answered yet and one may."""
        if self._begun_at is None or self.active() is not None:
            return False
        return any(not relay.failures and not relay.is_over for relay in self._relays)

    def active(self) -> Relay | None:
        """The best that is up."""
        return next((relay for relay in self._relays if relay.is_up), None)

    def find(self, name: str) -> Relay | None:
        return next((relay for relay in self._relays if relay.name == name and relay.is_up), None)

    def send(self, name: str, peer: Host, data: bytes) -> None:
        relay = self.find(name)
        if relay is not None and relay.allocation is not None:
            relay.allocation.send(peer, data, self._loop.time())
            self._flush(relay)

    def outlet(self, relay: Relay, peer: Host, data: bytes) -> None:
        """From any thread: sends soon, or drops when too much waits."""
        is_first = not relay.queue
        relay.queue.append((peer, data))
        if is_first and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._empty, relay)

    def hear(self, server: Host, message: Message) -> bool:
        """A STUN message that came on the UDP socket; false when it is not for a relay."""
        now = self._loop.time()
        for relay in self._relays:
            allocation = relay.allocation
            if (
                allocation is not None
                and not relay.is_stream
                and relay.address == server
                and allocation.owns(message)
            ):
                relay.last_heard = now
                allocation.hear(message, now)
                self._settle(relay)
                return True
        return False

    def unwrap(self, server: Host, data: bytes) -> bool:
        """ChannelData that came on the UDP socket; false when it is not of a relay."""
        for relay in self._relays:
            if (
                relay.allocation is not None
                and relay.is_up
                and not relay.is_stream
                and relay.address == server
            ):
                relay.last_heard = self._loop.time()
                relay.allocation.unwrap(data)
                self._settle(relay)
                return True
        return False

    def probe(self) -> None:
        """Asks whether the relays are still there: there is no path, or our addresses changed."""
        now = self._loop.time()
        for relay in self._relays:
            if not relay.is_up or relay.allocation is None:
                relay.next_try = min(relay.next_try, now + _PAUSES_S[-1])
            elif relay.probed_at is None or relay.last_heard > relay.probed_at:
                relay.probed_at = now
                relay.allocation.probe(now)
                self._settle(relay)
            elif relay.is_stream and now - relay.probed_at > _DEAD_S:
                self._fail(relay, "the relay does not answer any more")
            else:
                relay.allocation.probe(now)
                self._settle(relay)

    def moved(self, own: set[str]) -> None:
        """Our addresses are these now: a stream from another is dead, whatever it says."""
        for relay in self._relays:
            if relay.writer is not None and relay.writer.get_extra_info("sockname", ("",))[0] not in own:
                self._fail(relay, "our address has changed")
        self.probe()

    def tick(self, now: float) -> None:
        if self._is_closed or self._begun_at is None:
            return
        for relay in self._relays:
            if relay.allocation is not None:
                relay.allocation.tick(now)
                self._settle(relay)
        for relay in self._wanted(now):
            self._try(relay, now)

    def deadline(self) -> float | None:
        if self._is_closed or self._begun_at is None:
            return None
        times = [
            at
            for relay in self._relays
            if relay.allocation is not None and (at := relay.allocation.deadline()) is not None
        ]
        times += [
            self._due(relay) for relay in self._relays if relay.allocation is None and self._may_try(relay)
        ]
        return min(times, default=None)

    async def close(self) -> None:
        self._is_closed = True
        now = self._loop.time()
        for relay in self._relays:
            if relay.allocation is not None:
                relay.allocation.close(now)
                self._flush(relay)
            if relay.task is not None:
                relay.task.cancel()
        if running := [relay.task for relay in self._relays if relay.task is not None]:
            await asyncio.wait(running)

    # which server next

    def _may_try(self, relay: Relay) -> bool:
        active = self.active()
        if active is None:
            return True
        return active.is_stream and not relay.is_stream

    def _due(self, relay: Relay) -> float:
        begun = self._begun_at or 0.0
        if self.active() is not None:
            return max(relay.next_try, self._upgrade_at)
        return max(relay.next_try, begun + _STAGGER_S * relay.order)

    def _wanted(self, now: float) -> list[Relay]:
        return [
            relay
            for relay in self._relays
            if relay.allocation is None and self._may_try(relay) and self._due(relay) <= now
        ]

    def _try(self, relay: Relay, now: float) -> None:
        server = relay.server
        relay.allocation = Allocation(server.username, server.password, is_stream=relay.is_stream)
        relay.error = ""
        relay.probed_at = None
        if self.active() is not None:
            self._upgrade_at = now + _UPGRADE_S
        if relay.is_stream:
            relay.task = self._tasks.spawn(self._stream(relay), name=f"relay {server.host}")
        else:
            relay.allocation.start(now)
            self._settle(relay)

    # what becomes of it

    def _settle(self, relay: Relay) -> None:
        """Sends what is to be sent and takes note of what happened."""
        allocation = relay.allocation
        if allocation is None:
            return
        for event in allocation.events():
            if isinstance(event, Relayed):
                self._user.relay_data(relay, event.source, event.data)
            elif isinstance(event, Allocated):
                self._up(relay)
            elif isinstance(event, Refused | Gone):
                self._fail(relay, event.reason)
                return
        self._flush(relay)

    def _flush(self, relay: Relay) -> None:
        if relay.allocation is None:
            return
        sends = relay.allocation.outbox()
        if relay.is_stream:
            self._write(relay, b"".join(sends))
        else:
            for data in sends:
                self._user.send_udp(relay.address, data)

    def _write(self, relay: Relay, data: bytes) -> None:
        writer = relay.writer
        if data and writer is not None and writer.transport.get_write_buffer_size() < _MOST_QUEUED:
            writer.write(data)

    def _empty(self, relay: Relay) -> None:
        now = self._loop.time()
        while relay.queue:
            peer, data = relay.queue.popleft()
            if relay.allocation is not None and relay.is_up:
                relay.allocation.send(peer, data, now)
        self._flush(relay)

    def _up(self, relay: Relay) -> None:
        relay.is_up, relay.failures = True, 0
        self._upgrade_at = self._loop.time() + _UPGRADE_S
        for other in self._relays:
            if other is not relay and other.is_trying:
                self._let_go(other)
        self._user.relay_up(relay)

    def _fail(self, relay: Relay, reason: str) -> None:
        was_up = relay.is_up
        now = self._loop.time()
        self.last_error = relay.error = f"{relay.server.transport}:{relay.server.host}: {reason}"
        self._let_go(relay)
        is_refusal = "refused" in reason and not was_up
        is_calm = self._user.has_path() and relay.failures >= len(_PAUSES_S)
        pause = _CALM_S if is_calm else _PAUSES_S[min(relay.failures, len(_PAUSES_S) - 1)]
        relay.next_try = now + (_REFUSED_S if is_refusal else 0.0 if was_up else pause)
        relay.failures += 1
        if was_up:
            self._begun_at = now - _STAGGER_S * relay.order
            self._user.relay_down(relay)
        self._user.relay_busy()

    def _let_go(self, relay: Relay) -> None:
        if relay.allocation is not None:
            relay.allocation.close(self._loop.time())
            self._flush(relay)
        relay.allocation, relay.is_up, relay.writer = None, False, None
        if relay.task is not None:
            relay.task.cancel()
            relay.task = None

    # streams

    async def _stream(self, relay: Relay) -> None:
        allocation = relay.allocation
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(_CONNECT_S if self._user.has_path() else _HURRIED_S):
                reader, writer = await self._connect(relay)
            if relay.allocation is not allocation or allocation is None:
                return
            relay.writer = writer
            allocation.start(self._loop.time())
            self._settle(relay)
            self._user.relay_busy()
            await self._read(relay, reader)
            self._end(relay, allocation, "the relay closed the connection")
        except (OSError, TimeoutError, ValueError, BadStunError) as error:
            self._end(relay, allocation, relay_authority.explain(error))
        finally:
            if writer is not None:
                writer.close()

    def _end(self, relay: Relay, allocation: Allocation | None, reason: str) -> None:
        if relay.allocation is allocation and not self._is_closed:
            relay.task = None
            self._fail(relay, reason)

    async def _connect(self, relay: Relay) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tls = None
        if relay.server.transport == "tls":
            tls = await asyncio.to_thread(relay_authority.tls_context, self._authority)
        name = relay.server.host if tls is not None else None
        reader, writer = await asyncio.open_connection(*relay.address, ssl=tls, server_hostname=name)
        sock = writer.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return reader, writer

    async def _read(self, relay: Relay, reader: asyncio.StreamReader) -> None:
        frames, allocation = channel.Frames(), relay.allocation
        while data := await reader.read(1 << 16):
            if relay.allocation is not allocation or allocation is None:
                return
            now = relay.last_heard = self._loop.time()
            for frame in frames.feed(data):
                if stun.is_stun(frame):
                    allocation.hear(stun.decode(frame), now)
                else:
                    allocation.unwrap(frame)
            self._settle(relay)
            self._user.relay_busy()


async def resolve(host: str, port: int) -> list[Host]:
    """The addresses of a server, each once; empty when the name is not known."""
    try:
        return [(str(ipaddress.ip_address(host)), port)]
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys((str(address[0]), int(address[1])) for *_, address in found))
