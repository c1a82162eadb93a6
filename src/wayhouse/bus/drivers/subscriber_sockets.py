"""A subscriber's sockets around its machine: SUB for updates, a DEALER for each snapshot.

Called by the two subscriber clients, blocking and asyncio. Rule: the subscription is made before the first question.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import zmq

from wayhouse.bus.commands import Open
from wayhouse.bus.drivers.frames import AnySocket, drain, send
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.model import EndpointError
from wayhouse.bus.snapshots import PAGED_PEER
from wayhouse.bus.subscriber import Subscriber

UPDATES_HWM = 200_000


class SubscriberSockets:
    """`on_swap(old, new)` is told of each new DEALER, so that a loop can watch it. Raises `EndpointError` for an address that is none."""

    def __init__(
        self,
        context: zmq.Context[AnySocket],
        machine: Subscriber,
        snapshot: str,
        publisher: str,
        on_swap: Callable[[AnySocket | None, AnySocket], None],
        keys: Keys = NO_KEYS,
    ) -> None:
        self._keys = keys
        self._context = context
        self._machine = machine
        self._address = snapshot
        self._on_swap = on_swap
        self.updates = context.socket(zmq.SUB)
        self.updates.setsockopt(zmq.RCVHWM, UPDATES_HWM)
        self.updates.setsockopt(zmq.LINGER, 0)
        self._snapshot: AnySocket | None = None
        try:
            for topic in machine.topics():
                self.updates.setsockopt(zmq.SUBSCRIBE, topic)
            keys.apply(self.updates, publisher)
            self.updates.connect(publisher)
        except zmq.ZMQError as error:
            self.updates.close()
            raise EndpointError(f"No key/value clone can be reached at {publisher}: {error}") from error

    def readable(self, socket: AnySocket, now: float) -> None:
        """Take a batch of what came, then do what the machine wants."""
        receive = self._machine.receive_update if socket is self.updates else self._machine.receive_snapshot
        for frames in drain(socket):
            receive(frames, now)
        self.perform()

    def perform(self) -> None:
        for command in self._machine.outbox():
            if isinstance(command, Open):
                self._open()
            elif self._snapshot is not None:
                send(self._snapshot, command.frames)

    def close(self) -> None:
        self.updates.close(linger=0)
        if self._snapshot is not None:
            self._snapshot.close(linger=0)

    def _open(self) -> None:
        old = self._snapshot
        new = self._context.socket(zmq.DEALER)
        new.setsockopt(zmq.ROUTING_ID, PAGED_PEER + os.urandom(16))
        new.setsockopt(zmq.LINGER, 0)
        self._keys.apply(new, self._address)
        new.connect(self._address)
        self._snapshot = new
        self._on_swap(old, new)
        if old is not None:
            old.close(linger=0)
