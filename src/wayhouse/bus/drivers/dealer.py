"""One DEALER to a broker, made anew whenever a machine says so.

Called by the clients and workers. Rules: sending never blocks and nothing is dropped here, since the machines bound what is under
way; an address that is none raises when the first connection is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import zmq

from wayhouse.bus.commands import Command, Open
from wayhouse.bus.drivers.frames import AnySocket, send_all
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.model import EndpointError

FAREWELL_MS = 500


class Dealer:
    """`on_swap(old, new)` is told of each new socket before the old one is closed; `new` is None at the end."""

    def __init__(
        self,
        context: zmq.Context[AnySocket],
        address: str,
        on_swap: Callable[[AnySocket | None, AnySocket | None], object] | None = None,
        keys: Keys = NO_KEYS,
    ) -> None:
        self._keys = keys
        self._context = context
        self._address = address
        self._on_swap = on_swap
        self.socket: AnySocket | None = None

    def open(self) -> None:
        """Raises `EndpointError`."""
        new = self._context.socket(zmq.DEALER)
        new.setsockopt(zmq.LINGER, 0)
        new.setsockopt(zmq.SNDHWM, 0)
        new.setsockopt(zmq.RCVHWM, 0)
        try:
            self._keys.apply(new, self._address)
            new.connect(self._address)
        except zmq.ZMQError as error:
            new.close()
            raise EndpointError(f"No broker can be reached at {self._address}: {error}") from error
        self._swap(new, 0)

    def perform(self, commands: Iterable[Command]) -> None:
        messages: list[list[bytes]] = []
        for command in commands:
            if isinstance(command, Open):
                self._send(messages)
                messages = []
                self.open()
            else:
                messages.append(command.frames)
        self._send(messages)

    def close(self, *, farewell_ms: int = FAREWELL_MS) -> None:
        """What was sent has that long to leave, while the context ends."""
        self._swap(None, farewell_ms)

    def _send(self, messages: list[list[bytes]]) -> None:
        if messages and self.socket is not None:
            send_all(self.socket, messages)

    def _swap(self, new: AnySocket | None, linger_ms: int) -> None:
        old, self.socket = self.socket, new
        if self._on_swap is not None:
            self._on_swap(old, new)
        if old is not None:
            old.close(linger=linger_ms)
