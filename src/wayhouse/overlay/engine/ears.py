"""Tells the event loop what the engine's thread found out: events, and datagrams that are not the tunnel's.

Used by `tunnel`. Rule: nothing waits without bound: what the event loop cannot take is dropped, and unroutable packets are told at most
`UNROUTABLE_PER_S` times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from wayhouse.overlay.ports import Address

MOST_WAITING = 512
UNROUTABLE_PER_S = 10


class Ears:
    """Datagrams for the owner of one socket, given over in the event loop in the order they came."""

    def __init__(self, loop: asyncio.AbstractEventLoop, other: Callable[[bytes, Address], None]) -> None:
        self._loop, self._other = loop, other
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self.dropped = 0
        self.is_open = True

    def __call__(self, data: bytes, address: Address) -> None:
        """From the engine's thread."""
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.append((data, address))
        if len(self._waiting) == 1:
            with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._give)

    def _give(self) -> None:
        for _ in range(len(self._waiting)):
            data, address = self._waiting[0]
            try:
                if self.is_open:
                    self._other(data, address)
            finally:
                self._waiting.popleft()
        if self._waiting:
            self._loop.call_soon(self._give)


class Meter:
    """Lets through so many a second."""

    def __init__(self, per_s: int, clock: Callable[[], float]) -> None:
        self._per_s, self._clock = per_s, clock
        self._second, self._count = -1, 0

    def allows(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return self._count <= self._per_s
