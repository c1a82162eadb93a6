"""Waits on a clock that moves only when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from wayhouse.automation.model import Place
from wayhouse.automation.waiting import StopAsked, Waiter, moment_of
from wayhouse.base.errors import BadInputError
from wayhouse.base.tasks import Tasks

NOON = 1_772_366_400.0  # 1 March 2026, 12:00 UTC


class HandClock:
    """Both clocks; the wall clock may be set by `ahead`."""

    def __init__(self) -> None:
        self.time, self.ahead = 500.0, NOON - 500.0
        self._moved = asyncio.Event()

    def wall(self) -> float:
        return self.time + self.ahead

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, delay_s: float) -> None:
        end = self.time + delay_s
        while self.time < end:
            await self._moved.wait()

    def move(self, seconds: float) -> None:
        self.time += seconds
        self._moved.set()
        self._moved = asyncio.Event()


async def _step() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def _over(tasks: Tasks, work: Coroutine[Any, Any, Any]) -> list[Any]:
    """What it answers, when it does."""
    found: list[Any] = []

    async def run() -> None:
        try:
            found.append(await work)
        except StopAsked:
            found.append("stopped")

    tasks.spawn(run(), name="a wait")
    await _step()
    return found


async def test_a_while_is_of_the_monotonic_clock() -> None:
    clock = HandClock()
    async with Tasks() as tasks:
        found = await _over(tasks, Waiter(clock, tasks).passed(10))
        clock.ahead += 1000
        clock.move(9)
        await _step()
        assert found == []
        clock.move(1)
        await _step()
        assert found == [None]
        assert await _over(tasks, Waiter(clock, tasks).passed(0)) == [None]


async def test_a_time_is_of_the_wall_clock() -> None:
    clock = HandClock()
    async with Tasks() as tasks:
        found = await _over(tasks, Waiter(clock, tasks).until(NOON + 3600))
        clock.move(30)
        await _step()
        assert found == []
        clock.ahead += 3600
        clock.move(30)
        await _step()
        assert found == [None]


async def test_a_value_or_the_time() -> None:
    clock, is_met = HandClock(), False
    async with Tasks() as tasks:
        waiter = Waiter(clock, tasks)
        found = await _over(tasks, waiter.met(lambda: is_met, 10))
        is_met = True
        waiter.look()
        await _step()
        assert found == [True]
        found = await _over(tasks, waiter.met(lambda: False, 10))
        clock.move(10)
        await _step()
        assert found == [False]
        assert await _over(tasks, waiter.met(lambda: False, 0)) == [False]


async def test_a_stop_ends_all_waits() -> None:
    clock = HandClock()
    async with Tasks() as tasks:
        waiter = Waiter(clock, tasks)
        found = await _over(tasks, waiter.met(lambda: False, None))
        waiter.stop()
        await _step()
        assert found == ["stopped"]
        for work in (waiter.passed(0), waiter.until(0), waiter.met(lambda: True, None)):
            assert await _over(tasks, work) == ["stopped"]


def test_times_of_the_day() -> None:
    place = Place("Europe/Berlin", 52.5, 13.4)
    assert moment_of("13:00", NOON, place) == NOON + 86400
    assert moment_of("13:00:01", NOON, place) == NOON + 1
    assert moment_of("07:30", NOON, place) == NOON + 18.5 * 3600
    assert NOON < moment_of("@sunset+00:10", NOON, place) < NOON + 8 * 3600
    assert moment_of(5.0, NOON, place) == 5.0


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "7",
        "25:00",
        "07:61",
        "x:y",
        "1:2:3:4",
        "@every 5s",
        "@reboot",
        "@nothing",
        "* * * * *",
        1e20,
        float("nan"),
    ],
)
def test_what_is_no_time(bad: str | float) -> None:
    with pytest.raises(BadInputError):
        moment_of(bad, NOON, Place())


def test_no_sun_without_a_place() -> None:
    with pytest.raises(BadInputError):
        moment_of("@sunset", NOON, Place())
