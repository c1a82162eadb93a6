"""The clone's sockets around its machine: ROUTER for snapshots, XPUB for updates out, PULL (and, if wished, SUB) for updates in.

Called in the poll loop of `server.py`. Rules: no call blocks; nothing is decided here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from wayhouse.base.clock import SystemClock
from wayhouse.bus.clone import Clone, Limits, Refused, Stalled
from wayhouse.bus.clone_store import CloneStore
from wayhouse.bus.drivers.connection import Connection
from wayhouse.bus.drivers.publisher_socket import PublisherSocket
from wayhouse.bus.drivers.router import Router
from wayhouse.bus.drivers.watch import Watch
from wayhouse.bus.kvmsg import Form
from wayhouse.bus.model import COLLECTOR_PORT, PUBLISHER_PORT, SNAPSHOT_PORT, EndpointError, Frames
from wayhouse.bus.snapshots import Stream
from wayhouse.bus.zmtp.mechanisms import Mechanism, Null
from wayhouse.bus.zmtp.session import PULL, SUB

log = logging.getLogger(__name__)

EXPIRY_S = 7.5
"""How long the host of a peer may be silent."""
SEQUENCES_PER_SECOND = 1 << 20
LONGEST_UNNOTED_S = 600
LOCAL = ("bus-get.sock", "bus-sub.sock", "bus-put.sock")
"""UNIX sockets of a folder: snapshots, updates out, updates in."""


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
    is for others. `mechanism` makes that of a peer over TCP."""

    def __init__(  # noqa: PLR0913 - each has a default, and is given by name
        self,
        watch: Watch,
        endpoints: Endpoints,
        now: float,
        *,
        local: Endpoints | None = None,
        form: Form = Form.CHP,
        limits: Limits | None = None,
        mechanism: Callable[[bytes], Mechanism] = Null,
        adopted: Mapping[str, int] | None = None,
        store: CloneStore | None = None,
    ) -> None:
        self._now = now
        first = _first_sequence(form, 0 if store is None else store.sequence())
        self.clone = Clone(
            os.urandom(16), now, form=form, sequence=first, limits=limits or Limits(), keeps=store is not None
        )
        if store is not None:
            self.clone.restore(store.items())
        self._adopted = adopted or {}
        self._bound: list[str] = []
        self._refused = 0
        self._snapshot = Router(watch, mechanism, EXPIRY_S)
        self._publisher = PublisherSocket(watch, mechanism, EXPIRY_S)
        self._collectors = [Router(watch, mechanism, EXPIRY_S, PULL)]
        if endpoints.subscribed is not None:
            self._collectors.append(Router(watch, mechanism, EXPIRY_S, SUB))
        self._routers = [self._snapshot, self._publisher.router, *self._collectors]
        try:
            if local is not None:
                self._bind(local)
            self.endpoints = self._bind(endpoints)
        except EndpointError:
            self.close(now)
            raise

    def listeners(self) -> dict[str, int]:
        """The descriptors that a successor adopts, by endpoint, in the order in which they were bound; they stay ours."""
        found = {endpoint: fd for router in self._routers for endpoint, fd in router.listeners().items()}
        return {endpoint: found[endpoint] for endpoint in self._bound if endpoint in found}

    def turn_out(self, is_known: Callable[[Connection], bool]) -> None:
        """End the connections over TCP of those who are not known any more."""
        for router in self._routers:
            router.turn_out(is_known)

    def settle(self, now: float) -> None:
        """What came goes to the clone, and what came of that is published."""
        clone = self.clone
        for collector in self._collectors:
            for _, *frames in _taken(collector):
                clone.receive_update(frames, now)
        for frames in _taken(self._snapshot):
            clone.receive_request(frames, now)
        self._publisher.hear()
        if self._publisher.subscriptions:
            for frame in self._publisher.subscriptions:
                clone.receive_subscription(frame, now)
            self._publisher.subscriptions.clear()
        self._publish()

    def tick(self, now: float) -> None:
        """`now` in seconds of the monotonic clock."""
        self._now = now
        for router in self._routers:
            router.tick(now)
        self.clone.tick(now)
        for stream in self.clone.snapshots.ready(now):
            self._send_piece(stream, now)
        self._publish()
        self._report()

    def deadline(self) -> float:
        """When `tick` is due."""
        times = [router.deadline() for router in self._routers]
        return min([self.clone.deadline(self._now), *(one for one in times if one is not None)])

    def close(self, now: float) -> None:
        for router in self._routers:
            router.close()

    def _bind(self, endpoints: Endpoints) -> Endpoints:
        wanted = (endpoints.snapshot, endpoints.publisher, endpoints.collector, endpoints.subscribed)
        pairs = zip(self._routers, [one for one in wanted if one is not None], strict=False)
        return Endpoints(*[self._bind_one(router, endpoint) for router, endpoint in pairs])

    def _bind_one(self, router: Router, endpoint: str) -> str:
        fd = self._adopted.get(endpoint)
        bound = router.listen(endpoint) if fd is None else router.adopt(fd)
        self._bound.append(bound)
        return bound

    def _publish(self) -> None:
        if out := self.clone.outbox():
            self._publisher.publish(out)
        for router in self._routers:
            router.flush()

    def _send_piece(self, stream: Stream, now: float) -> None:
        """As much of it as its peer takes; one that has gone gets no more."""
        messages = stream.piece()
        count = self._snapshot.send_to(stream.identity, messages)
        if count is None:
            self.clone.snapshots.drop(stream.identity)
            return
        stream.sent(count, now)
        if count < len(messages):
            stream.blocked(now)

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


def _taken(router: Router) -> list[Frames]:
    """What was received; that some of them have gone is of no matter."""
    found, router.received[:] = router.received[:], []
    router.gone.clear()
    return found


def _first_sequence(form: Form, last: int) -> int:
    """Above all of an earlier run, as long as the wall clock did not go back or what was noted last (`last`) is known; RasPy's 4
    bytes have no room for that."""
    if form is Form.RASPY:
        return 0
    return (
        max(int(SystemClock().wall()), last // SEQUENCES_PER_SECOND + LONGEST_UNNOTED_S)
        * SEQUENCES_PER_SECOND
    )
