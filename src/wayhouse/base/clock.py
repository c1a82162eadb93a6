"""Time as an argument. Services take a `Clock`; tests hand in a `ManualClock` and pass hours in microseconds.

asyncio is imported by who sleeps: the processes of the bus have a loop of their own, and asyncio is megabytes.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def wall(self) -> float:
        """Seconds since the Unix epoch; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never jumps."""
        ...

    async def sleep(self, delay_s: float) -> None: ...


class SystemClock:
    def wall(self) -> float:
        return time.time()  # noqa: TID251 - the one home of the wall clock

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        import asyncio

        await asyncio.sleep(delay_s)


class ManualClock:
    """A clock that moves only when told to; `sleep` advances it and yields once."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start

    def wall(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def advance(self, delay_s: float) -> None:
        self._now += delay_s

    async def sleep(self, delay_s: float) -> None:
        import asyncio

        self._now += max(0.0, delay_s)
        await asyncio.sleep(0)
