"""What the daemon does by itself begins, rests and begins again, and none of it is ever done twice at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.parts.house import House, house
from wayhouse.base.tasks import Tasks
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.chutes.ports import Container
from wayhouse.gateway.housekeeping import Housekeeping


class Slow(FakeEngine):
    """Its answers wait for `free`; `asked` counts the questions."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()
        self.free.set()
        self.asked = 0

    async def containers(self) -> Sequence[Container]:
        self.asked += 1
        await self.free.wait()
        return await super().containers()


def running() -> list[str]:
    return sorted({"align", "housekeeping"} & {task.get_name() for task in asyncio.all_tasks()})


async def runs(one: House, name: str) -> bool:
    return any(
        found.name == name and found.state.state == "running" for found in await one.engine.containers()
    )


async def test_a_chute_that_does_not_run_is_brought_back_each_time(tmp_path: Path) -> None:
    async with house(tmp_path) as one, Tasks() as tasks:
        await one.install("app")
        (container,) = await one.engine.containers()
        keeping = Housekeeping(one.gateway.reconciler, tasks)
        for _ in range(2):
            await one.engine.remove(container.name)
            assert not await runs(one, container.name)
            keeping.carry_on()
            while not one.gateway.ledger.open_changes():
                await asyncio.sleep(0)
            (change,) = one.gateway.ledger.open_changes()
            assert (await one.gateway.ledger.wait(change.id)).state == "succeeded"
            assert await runs(one, container.name)
            await keeping.rest(10)
            assert running() == []


async def test_it_rests_in_the_middle_of_a_question(tmp_path: Path) -> None:
    engine = Slow()
    async with house(tmp_path, engine=engine) as one, Tasks() as tasks:
        await one.install("app")
        keeping = Housekeeping(one.gateway.reconciler, tasks)
        engine.free.clear()
        asked = engine.asked
        for _ in range(2):
            keeping.carry_on()
            await asyncio.sleep(0.01)
            assert running() == ["align", "housekeeping"]
            await keeping.rest(0.01)
            assert running() == []
        assert engine.asked == asked + 2
        assert not one.gateway.ledger.open_changes()


async def test_resting_without_having_begun_and_resting_twice(tmp_path: Path) -> None:
    async with house(tmp_path) as one, Tasks() as tasks:
        keeping = Housekeeping(one.gateway.reconciler, tasks)
        await keeping.rest(0.01)
        keeping.carry_on()
        await keeping.rest(0.01)
        await keeping.rest(0.01)


async def test_an_engine_that_fails_ends_neither_the_other_nor_the_daemon(tmp_path: Path) -> None:
    async with house(tmp_path) as one, Tasks() as tasks:
        one.engine.fail_next("prune")
        keeping = Housekeeping(one.gateway.reconciler, tasks)
        keeping.carry_on()
        await asyncio.sleep(0.01)
        await keeping.rest(0.01)
        assert (await one.ask("GET", "/healthz", who=None)).status == 200
