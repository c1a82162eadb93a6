"""Titanic's connections to a broker: one DEALER for each of its services, one for each lane of dispatch, all raw.

Called by `titanic_server`. Rules: it decides nothing; nothing here blocks but `wait`; a lane is opened when it is first used and
closed when an answer on it could be mistaken; the broker's end of the connection is watched, since what was sent into a
connection that broke is never answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import zmq

from wayhouse.bus import mdp
from wayhouse.bus.drivers.dealer import Dealer
from wayhouse.bus.drivers.frames import AnySocket, drain, send
from wayhouse.bus.drivers.waker import Waker
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.link import Job, Link
from wayhouse.bus.model import EndpointError, Frames, MalformedError

POLLIN = int(zmq.POLLIN)
HIGH_WATER = 10_000
PROBE = -1
"""The lane that asks what the broker can do."""
_WATCHED = int(zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)


class TitanicSockets:
    """`wait`, then take `requests` and `replies`; `answer`, `send_on` and `drop` lanes."""

    def __init__(self, endpoint: str, links: Iterable[Link], now: float, keys: Keys = NO_KEYS) -> None:
        """Raises `EndpointError` for an endpoint that cannot be."""
        self._endpoint = endpoint
        self._keys = keys
        self._context: zmq.Context[AnySocket] = zmq.Context()
        self._lanes: dict[int, AnySocket] = {}
        self._dealers: list[tuple[Link, Dealer]] = []
        self._polled: list[tuple[Any, int]] | None = None
        self._readable: set[Any] = set()
        self.waker = Waker()
        """Cuts a `wait` short."""
        self._watch: AnySocket | None = None
        self._watched: AnySocket | None = None
        try:
            for link in links:
                dealer = Dealer(self._context, endpoint, self._swap, keys)
                self._dealers.append((link, dealer))
                dealer.perform(link.outbox())
        except EndpointError:
            self.close(now)
            raise

    def wait(self, timeout_s: float) -> None:
        """Until something came, or `timeout_s` later."""
        if self._polled is None:
            watched = [self._watch] if self._watch else []
            links = [dealer.socket for _, dealer in self._dealers if dealer.socket is not None]
            self._polled = [(one, POLLIN) for one in (*links, *self._lanes.values(), *watched, self.waker)]
        self._readable = {one for one, _ in zmq.zmq_poll(self._polled, max(0, round(timeout_s * 1000)))}
        self.waker.clear()

    def requests(self, now: float) -> Iterator[tuple[Link, Job]]:
        """A batch at most, of all services."""
        for link, dealer in self._dealers:
            if dealer.socket is not None and dealer.socket in self._readable:
                for frames in drain(dealer.socket):
                    link.receive(frames, now)
                for job in link.jobs():
                    yield link, job

    def replies(self) -> Iterator[tuple[int, mdp.Reply]]:
        for lane, socket in list(self._lanes.items()):
            if socket in self._readable:
                for frames in drain(socket):
                    try:
                        yield lane, mdp.parse_reply(frames)
                    except MalformedError:
                        continue

    def broke(self) -> bool:
        """Whether the connection was lost since the last call."""
        if self._watch not in self._readable or self._watch is None:
            return False
        events = [int.from_bytes(frames[0][:2], "little") for frames in drain(self._watch)]
        return int(zmq.EVENT_DISCONNECTED) in events

    def tend(self, now: float) -> None:
        """Heartbeats, and new connections for the links that want one."""
        for link, dealer in self._dealers:
            link.tick(now)
            dealer.perform(link.outbox())

    def answer(self, answers: Sequence[tuple[Link, Job, Frames]], now: float) -> None:
        """To clients, through the link that their request came on; what nobody can take is dropped, and asked for again."""
        for link, job, body in answers:
            link.reply(job, body, now)
        for link, dealer in self._dealers:
            dealer.perform(link.outbox())

    def send_on(self, lane: int, label: bytes, body: Sequence[bytes]) -> bool:
        """A request to the broker; False when it cannot be sent now."""
        socket = self._lanes.get(lane)
        if socket is None:
            socket = self._lanes[lane] = self._connect()
            self._polled = None
        return send(socket, mdp.build_request(label, body))

    def drop(self, lane: int) -> None:
        socket = self._lanes.pop(lane, None)
        if socket is not None:
            socket.close()
            self._polled = None

    def drop_all(self) -> None:
        for lane in list(self._lanes):
            self.drop(lane)

    def close(self, now: float) -> None:
        self.drop_all()
        for link, dealer in self._dealers:
            link.end(now)
            dealer.perform(link.outbox())
            dealer.close()
        self._context.term()
        self.waker.close()

    def _connect(self) -> AnySocket:
        socket: AnySocket = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.SNDHWM, HIGH_WATER),
            (zmq.RECONNECT_IVL, 50),
            (zmq.RECONNECT_IVL_MAX, 1000),
        ):
            socket.setsockopt(option, value)
        try:
            self._keys.apply(socket, self._endpoint)
            socket.connect(self._endpoint)
        except zmq.ZMQError:
            socket.close()
            raise
        return socket

    def _swap(self, old: AnySocket | None, new: AnySocket | None) -> None:
        """The first link's connection is the one that is watched."""
        self._polled = None
        if self._watch is None or old is self._watched:
            if old is not None and self._watch is not None:
                old.disable_monitor()
                self._watch.close(0)
            self._watch = None if new is None else new.get_monitor_socket(_WATCHED)
            self._watched = new
