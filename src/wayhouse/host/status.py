"""The host's status, as `/sockjs/status` sends it, read at most every 0.8 seconds however many pages ask."""

from __future__ import annotations

import asyncio
from typing import Protocol

from wayhouse.base.clock import Clock
from wayhouse.host.model import Status

FRESH_S = 0.8


class StatusReader(Protocol):
    def status(self) -> Status: ...


class StatusCache:
    def __init__(self, reader: StatusReader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._one_reads = asyncio.Lock()
        self._known: tuple[float, Status] | None = None

    async def status(self) -> Status:
        """Not older than `FRESH_S`. Those who ask while it is being read get the same answer."""
        async with self._one_reads:
            now = self._clock.monotonic()
            if self._known is None or not 0 <= now - self._known[0] < FRESH_S:
                self._known = (now, await asyncio.to_thread(self._reader.status))
            return self._known[1]
