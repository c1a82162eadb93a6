"""The clone's sockets around its machine: ROUTER for snapshots, XPUB for updates out, PULL (and, if wished, SUB) for updates in.

Called by the poll loop of `server.py`: poll `sockets()` until `deadline()`, hand what is readable to `readable`, then call `tick`.
Rules: no call blocks, each handles a bounded batch; nothing is decided here.
"""

from __future__ import annotations

import errno
import logging
import os
import socket as sockets
from collections.abc import Mapping
from pathlib import Path

import msgspec
import zmq

from wayhouse.base.clock import SystemClock
from wayhouse.bus.clone import Clone, Limits, Refused, Stalled
from wayhouse.bus.clone_store import CloneStore
from wayhouse.bus.drivers import listening
from wayhouse.bus.drivers.frames import AnySocket, drain, send_all, send_many
from wayhouse.bus.drivers.zap import Security
from wayhouse.bus.kvmsg import MAX_KEY_BYTES, MAX_PROPERTIES_BYTES, Form
from wayhouse.bus.model import COLLECTOR_PORT, PUBLISHER_PORT, SNAPSHOT_PORT, EndpointError
from wayhouse.bus.snapshots import Stream

log = logging.getLogger(__name__)

SNAPSHOT_HWM = 4000
SEQUENCES_PER_SECOND = 1 << 20
LONGEST_UNNOTED_S = 600
LOCAL = ("bus-get.sock", "bus-sub.sock", "bus-put.sock")
"""UNIX sockets of a folder: snapshots, updates out, updates in."""
SLACK = MAX_KEY_BYTES + MAX_PROPERTIES_BYTES + 1024


class Endpoints(msgspec.Struct, frozen=True):
    """Addresses as ZeroMQ writes them. `subscribed` is for publishers that use PUB, as RFC 12 has it, where RasPy uses PUSH."""

    snapshot: str
    publisher: str
    collector: str
    subscribed: str | None = None

    @classmethod
    def of(cls, ip: str, broker_port: int) -> Endpoints:
        """RasPy's: one, two and three above the broker's port."""
        ports = (SNAPSHOT_PORT, PUBLISHER_PORT, COLLECTOR_PORT)
        return cls(*(f"tcp://{ip}:{broker_port + offset}" for offset in ports))

    @classmethod
    def in_folder(cls, folder: Path) -> Endpoints:
        """UNIX sockets, for processes of the folder's owner."""
        return cls(*(f"ipc://{folder / name}" for name in LOCAL))


class CloneSockets:
    """Raises `EndpointError` when an address cannot be bound; port 0 binds a free one, which `endpoints` then names. `local` are UNIX sockets
    beside those. `adopted` are listening descriptors of a predecessor, by endpoint. What is in `store` is there from the start; to write it
    is for others. `security` holds for peers over TCP."""

    def __init__(  # noqa: PLR0913 - each has a default, and is given by name
        self,
        context: zmq.Context[AnySocket],
        endpoints: Endpoints,
        now: float,
        *,
        local: Endpoints | None = None,
        form: Form = Form.CHP,
        limits: Limits | None = None,
        security: Security | None = None,
        adopted: Mapping[str, int] | None = None,
        store: CloneStore | None = None,
    ) -> None:
        self._now = now
        self._limits = limits or Limits()
        first = _first_sequence(form, 0 if store is None else store.sequence())
        self.clone = Clone(
            os.urandom(16), now, form=form, sequence=first, limits=self._limits, keeps=store is not None
        )
        if store is not None:
            self.clone.restore(store.items())
        self._security = security or Security()
        self._adopted = adopted or {}
        self._listeners: dict[str, sockets.socket] = {}
        self._over: dict[str, AnySocket] = {}
        self._refused = 0
        self._snapshot = _router(context)
        self._publisher = _publisher(context, self._limits.hwm)
        self._collectors = [_collector(context, zmq.PULL, self._limits)]
        if endpoints.subscribed is not None:
            self._collectors.append(_collector(context, zmq.SUB, self._limits))
        try:
            if local is not None:
                self._bind(local)  # first: what is bound after a mechanism was set has it
            self.endpoints = self._bind(endpoints)
        except EndpointError:
            self.close(now)
            raise

    def listeners(self) -> dict[str, int]:
        """The descriptors that a successor adopts, by endpoint; they stay ours."""
        return {endpoint: sock.fileno() for endpoint, sock in self._listeners.items()}

    def turn_out(self) -> None:
        """End all connections over TCP, as `listening.turn_out`."""
        for socket in self.sockets():
            self._security.apply(socket)
        for endpoint, listener in self._listeners.items():
            listening.turn_out(self._over[endpoint], endpoint, listener)

    def sockets(self) -> list[AnySocket]:
        """What to wait for (POLLIN)."""
        return [self._snapshot, self._publisher, *self._collectors]

    def readable(self, source: AnySocket, now: float) -> None:
        """Take a batch from one of `sockets()`."""
        clone = self.clone
        if source is self._snapshot:
            for frames in drain(source):
                clone.receive_request(frames, now)
        elif source is self._publisher:
            for frames in drain(source):
                clone.receive_subscription(frames[0], now)
        else:
            for frames in drain(source):
                clone.receive_update(frames, now)
        self._publish()

    def tick(self, now: float) -> None:
        """To be called after each wake-up; `now` in seconds of the monotonic clock."""
        self._now = now
        self.clone.tick(now)
        self._publish()
        for stream in self.clone.snapshots.ready(now):
            self._send_piece(stream, now)
        self._report()

    def deadline(self) -> float:
        """When `tick` is due even if nothing is readable."""
        return self.clone.deadline(self._now)

    def close(self, now: float) -> None:
        for socket in self.sockets():
            socket.close(linger=0)
        for sock in self._listeners.values():
            sock.close()

    def _bind(self, endpoints: Endpoints) -> Endpoints:
        wanted = (endpoints.snapshot, endpoints.publisher, endpoints.collector, endpoints.subscribed)
        pairs = zip(self.sockets(), [one for one in wanted if one is not None], strict=False)
        return Endpoints(*[self._bind_one(socket, endpoint) for socket, endpoint in pairs])

    def _bind_one(self, socket: AnySocket, endpoint: str) -> str:
        fd = self._adopted.get(endpoint)
        listener = listening.listen(endpoint) if fd is None else listening.adopt(fd)
        try:
            if listener.family != sockets.AF_UNIX and self._security.mechanism != "none":
                self._security.apply(socket)
            bound = listening.bind(socket, listener)
        except BaseException:
            listener.close()
            raise
        self._listeners[bound] = listener
        self._over[bound] = socket
        return bound

    def _publish(self) -> None:
        if out := self.clone.outbox():
            send_all(self._publisher, out)

    def _send_piece(self, stream: Stream, now: float) -> None:
        """As much of it as its peer's pipe takes; one that has gone gets no more."""
        messages = stream.piece()
        missed = send_many(self._snapshot, messages, 0)
        if missed is None:
            stream.sent(len(messages), now)
            return
        place, why = missed
        stream.sent(place, now)
        if why == errno.EAGAIN:
            stream.blocked(now)
        else:
            self.clone.snapshots.drop(stream.identity)

    def _report(self) -> None:
        for event in self.clone.events():
            if isinstance(event, Refused):
                self._refused += 1
                if (
                    self._refused & (self._refused - 1) == 0
                ):  # the 1st, 2nd, 4th, 8th ...: a flood does not fill the log
                    log.warning(
                        "clone: refused %d messages so far, this one: %s", self._refused, event.message
                    )
            elif isinstance(event, Stalled):
                log.info("clone: %d snapshots were given up, nobody took them", event.count)


def _router(context: zmq.Context[AnySocket]) -> AnySocket:
    """Mandatory: a full pipe or a peer that has gone is told of, nothing is dropped in silence."""
    socket = context.socket(zmq.ROUTER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.SNDHWM, SNAPSHOT_HWM)
    socket.setsockopt(zmq.MAXMSGSIZE, SLACK)
    return socket


def _publisher(context: zmq.Context[AnySocket], hwm: int) -> AnySocket:
    """Verbose: each subscriber that comes or goes is told of, so that it gets its beat at once, and all are counted."""
    socket = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.XPUB_VERBOSER, 1)
    socket.setsockopt(zmq.SNDHWM, hwm)
    socket.setsockopt(zmq.MAXMSGSIZE, SLACK)
    return socket


def _collector(context: zmq.Context[AnySocket], kind: int, limits: Limits) -> AnySocket:
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVHWM, 10_000)
    socket.setsockopt(zmq.MAXMSGSIZE, limits.body_bytes + SLACK)
    if kind == zmq.SUB:
        socket.setsockopt(zmq.SUBSCRIBE, b"")
    return socket


def _first_sequence(form: Form, last: int) -> int:
    """Above all of an earlier run, as long as the wall clock did not go back or what was noted last (`last`) is known; RasPy's 4
    bytes have no room for that."""
    if form is Form.RASPY:
        return 0
    return (
        max(int(SystemClock().wall()), last // SEQUENCES_PER_SECOND + LONGEST_UNNOTED_S)
        * SEQUENCES_PER_SECOND
    )
