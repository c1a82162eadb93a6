"""Background work has one owner: it ends with it, and one failing task takes no other down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from wayhouse.base.errors import ConflictError
from wayhouse.base.tasks import Tasks


async def test_leaving_cancels_and_waits() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("work")

    async with Tasks() as tasks:
        task = tasks.spawn(work(), name="work")
        await asyncio.sleep(0)
    assert ended == ["work"]
    assert task.cancelled()


async def test_a_failing_task_is_logged_and_leaves_the_others(caplog: pytest.LogCaptureFixture) -> None:
    done = asyncio.Event()

    async def fails() -> None:
        raise LookupError("gone")

    async def works() -> None:
        await asyncio.sleep(0)
        done.set()

    with caplog.at_level(logging.ERROR):
        async with Tasks() as tasks:
            tasks.spawn(fails(), name="broken-one")
            tasks.spawn(works(), name="other")
            await done.wait()
    assert "background task broken-one failed" in caplog.text
    assert "LookupError: gone" in caplog.text


async def test_an_error_of_the_body_comes_out_as_it_is() -> None:
    """Not in an exception group, which no `except WayhouseError` would catch."""

    async def own() -> None:
        async with Tasks() as tasks:
            tasks.spawn(asyncio.Event().wait(), name="work")
            raise ConflictError("no engine")

    with pytest.raises(ConflictError, match="no engine"):
        await own()


async def test_a_generator_that_owns_tasks_can_be_closed() -> None:
    async def numbers() -> AsyncIterator[int]:
        async with Tasks() as tasks:
            tasks.spawn(asyncio.Event().wait(), name="work")
            yield 1

    stream = numbers()
    assert await anext(stream) == 1
    await stream.aclose()


async def test_cancelling_the_owner_ends_the_work() -> None:
    running = asyncio.Event()
    ended: list[str] = []

    async def work() -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    async def own() -> None:
        async with Tasks() as tasks:
            tasks.spawn(work(), name="work")
            await asyncio.Event().wait()

    owner = asyncio.create_task(own())
    await running.wait()
    owner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await owner
    assert ended == ["work"]


@pytest.mark.filterwarnings("error")
async def test_work_that_never_began_is_closed() -> None:
    async def work() -> None:
        raise AssertionError("never reached")

    coroutine = work()
    async with Tasks() as tasks:
        tasks.spawn(coroutine, name="work")
    with pytest.raises(RuntimeError, match="cannot reuse"):
        await coroutine
