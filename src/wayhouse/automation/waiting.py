"""Waits of a run: for a while, until a time, for a value; each ends early when the run is to stop.

Used by `calls`. Rule: durations run on the monotonic clock, times of the day on the wall clock, which is looked at each `LOOK_S`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from wayhouse.automation.model import Place
from wayhouse.automation.occurrence import next_after
from wayhouse.automation.schedule import AtBoot, Every, parse
from wayhouse.base.clock import Clock
from wayhouse.base.errors import BadInputError
from wayhouse.base.tasks import Tasks

LOOK_S = 30.0
_DAYS = 366 * 86400.0


class StopAsked(Exception):  # noqa: N818 - no error: the run is to end
    """A wait is over because the run is to stop."""


class Waiter:
    """Of one run; one wait at a time."""

    def __init__(self, clock: Clock, tasks: Tasks) -> None:
        self._clock = clock
        self._tasks = tasks
        self._turn = asyncio.Event()
        self.is_stopping = False

    def stop(self) -> None:
        """From now on nothing is waited for."""
        self.is_stopping = True
        self._turn.set()

    def look(self) -> None:
        """Something has happened that may end the wait."""
        self._turn.set()

    async def passed(self, seconds: float) -> None:
        """Raises `StopAsked`."""
        end = self._clock.monotonic() + seconds
        while (left := end - self._clock.monotonic()) > 0:
            await self._turned(left)
        self._refuse()

    async def until(self, moment: float) -> None:
        """Unix seconds. Raises `StopAsked`."""
        while (left := moment - self._clock.wall()) > 0:
            await self._turned(min(left, LOOK_S))
        self._refuse()

    async def met(self, is_met: Callable[[], bool], seconds: float | None) -> bool:
        """False: the time was over first. Raises `StopAsked`."""
        end = math.inf if seconds is None else self._clock.monotonic() + seconds
        while not is_met():
            left = end - self._clock.monotonic()
            if left <= 0:
                self._refuse()
                return False
            await self._turned(left)
        self._refuse()
        return True

    async def _turned(self, seconds: float) -> None:
        self._refuse()
        self._turn.clear()
        bell = self._tasks.spawn(self._ring(seconds), name="a scenario waits") if seconds < math.inf else None
        try:
            await self._turn.wait()
        finally:
            if bell is not None:
                bell.cancel()
        self._refuse()

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._turn.set()

    def _refuse(self) -> None:
        if self.is_stopping:
            raise StopAsked


def moment_of(time: float | str, now: float, place: Place) -> float:
    """When that is: Unix seconds as they are, else the next time of the day ("07:30", "@sunset-00:30"). Raises `BadInputError`."""
    if not isinstance(time, str):
        if not now - _DAYS * 100 <= time <= now + _DAYS * 100:
            raise BadInputError(
                "wait_until takes a time of the day, a datetime or Unix seconds of this century."
            )
        return time
    numbers = time.split(":")
    if not time.startswith("@") and not (len(numbers) in {2, 3} and all(one.isdecimal() for one in numbers)):
        raise BadInputError('wait_until takes a time of the day such as "07:30", or "@sunset-00:30".')
    line = time if time.startswith("@") else " ".join([*reversed([*numbers, "0"][:3]), "* * *"])
    schedule = parse(line)
    found = None if isinstance(schedule, Every | AtBoot) else next_after(schedule, now, place)
    if found is None:
        raise BadInputError(f"`{time[:64]}` never comes here.")
    return found
