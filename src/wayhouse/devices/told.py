"""What drivers tell unasked, in order, for their server. A flood loses the oldest; it cannot fill the memory."""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec

from wayhouse.devices.model import Value

MAX_WAITING = 5000


class Fact(msgspec.Struct, frozen=True):
    address: str
    command: str
    value: Value


class Gone(msgspec.Struct, frozen=True):
    address: str
    reason: str


class Look(msgspec.Struct, frozen=True):
    """Something new is there."""


Told = Fact | Gone | Look


class Mailbox:
    """A `ports.Listener`. `lost` counts what was too much."""

    def __init__(self, limit: int = MAX_WAITING) -> None:
        self._waiting: deque[Told] = deque(maxlen=limit)
        self._wake = asyncio.Event()
        self.lost = 0

    def told(self, address: str, command: str, value: Value) -> None:
        self._put(Fact(address, command, value))

    def gone(self, address: str, reason: str) -> None:
        self._put(Gone(address, reason))

    def look(self) -> None:
        if Look() not in self._waiting:
            self._put(Look())

    async def next(self) -> Told:
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.popleft()

    def _put(self, told: Told) -> None:
        self.lost += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(told)
        self._wake.set()
