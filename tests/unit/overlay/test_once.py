"""Asked twice, done once."""

from __future__ import annotations

import asyncio

import pytest

from wayhouse.base.errors import NotFoundError, TooManyRequestsError, UnavailableError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.once import MOST_EACH, Once


class Work:
    def __init__(self) -> None:
        self.times = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> int:
        self.times += 1
        await self.may_end.wait()
        return self.times


async def test_the_same_request_is_done_once_also_while_it_is_being_done() -> None:
    work = Work()
    async with Tasks() as tasks:
        once = Once(tasks)
        first = asyncio.gather(*(once.do("a", "r", work) for _ in range(3)))
        await asyncio.sleep(0)
        work.may_end.set()
        assert await first == [1, 1, 1]
        assert await once.do("a", "r", work) == 1
        assert await once.do("b", "r", work) == 2
        assert await once.do("a", "", work) == 3
        assert await once.do("a", "", work) == 4


async def test_it_is_finished_when_the_asker_has_gone() -> None:
    work = Work()
    async with Tasks() as tasks:
        once = Once(tasks)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await once.do("a", "r", work)
        work.may_end.set()
        assert await once.do("a", "r", work) == 1


async def test_a_failure_is_an_outcome() -> None:
    times = []

    async def fail() -> None:
        times.append(1)
        raise NotFoundError("gone")

    async with Tasks() as tasks:
        once = Once(tasks)
        for _ in range(2):
            with pytest.raises(NotFoundError):
                await once.do("a", "r", fail)
    assert len(times) == 1


async def test_a_defect_is_no_outcome_that_hangs() -> None:
    async def break_down() -> None:
        raise ZeroDivisionError

    async with Tasks() as tasks:
        with pytest.raises(UnavailableError):
            await Once(tasks).do("a", "r", break_down)


async def test_only_so_many_are_kept() -> None:
    work = Work()
    async with Tasks() as tasks:
        once = Once(tasks)
        waiting = [asyncio.ensure_future(once.do("a", str(number), work)) for number in range(MOST_EACH)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequestsError):
            await once.do("a", "more", work)
        work.may_end.set()
        await asyncio.gather(*waiting)
        before = work.times
        await once.do("a", "more", work)
        await once.do("a", "0", work)
        assert work.times == before + 2
