"""Every plan may be interrupted anywhere: what was half done is undone and done again, or all of it is undone.

The stories are planned by the real planner and played by hand, since the ledger's own order is tested with the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import operator
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.parts.chute_lab import ADMIN, ChuteLab, app, archive, chunks, light
from wayhouse.chutes import tasks
from wayhouse.chutes.model import EngineError
from wayhouse.chutes.ports import BuildRequest
from wayhouse.chutes.wishes import Install, Kind, Restart
from wayhouse.ledger.model import Change, State
from wayhouse.ledger.task import Task

TWO = {"main": light(), "extra": light()}
Story = Callable[[ChuteLab, str], Awaitable[Change]]


async def sent(lab: ChuteLab, document: dict[str, Any]) -> Install:
    return (await lab.chutes.receive_archive(chunks(archive(document)))).install


async def installed(lab: ChuteLab, name: str) -> None:
    assert (await lab.install(app(name, services=TWO))).state == State.SUCCEEDED
    (lab.directories.data(name) / "kept").write_text("yes")


async def install(lab: ChuteLab, name: str) -> Change:
    return lab.wish(Kind.CREATE, name, await sent(lab, app(name, services=TWO)))


async def update(lab: ChuteLab, name: str) -> Change:
    await installed(lab, name)
    services = {"main": light(command="python3 other.py"), "third": light()}
    return lab.wish(Kind.UPDATE, name, await sent(lab, app(name, version=2, services=services)))


async def update_of_a_stopped_app(lab: ChuteLab, name: str) -> Change:
    await installed(lab, name)
    await lab.done(await lab.chutes.stop(name, ADMIN))
    return lab.wish(Kind.UPDATE, name, await sent(lab, app(name, version=2, services=TWO)))


async def change_of_settings(lab: ChuteLab, name: str) -> Change:
    await installed(lab, name)
    fields = {"services": {"extra": None, "main": {"build": {"packages": ["curl"]}}}}
    return lab.wish(Kind.RESTART, name, Restart(fields=fields))


async def restart(lab: ChuteLab, name: str) -> Change:
    await installed(lab, name)
    return lab.wish(Kind.RESTART, name, Restart())


async def start(lab: ChuteLab, name: str) -> Change:
    await installed(lab, name)
    await lab.done(await lab.chutes.stop(name, ADMIN))
    return lab.wish(Kind.START, name, Restart())


async def stop(lab: ChuteLab, name: str) -> Change:
    await installed(lab, name)
    return lab.wish(Kind.STOP, name)


async def delete(lab: ChuteLab, name: str) -> Change:
    await installed(lab, name)
    return lab.wish(Kind.DELETE, name)


STORIES: list[Story] = [
    install, update, update_of_a_stopped_app, change_of_settings, restart, start, stop, delete
]  # fmt: skip
every_story = pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)


FOLDERS = {"data/chute-data", "data/sources", "run/system", "data/uploads"}
"""Made for the first chute and kept."""


class Play:
    """One story in a new lab: planned and not yet begun."""

    def __init__(self, lab: ChuteLab, plan: Sequence[Task], before: dict[str, Any]) -> None:
        self.lab = lab
        self.plan = plan
        self.before = before
        self.said: list[str] = []

    async def do(self, task: Task) -> None:
        await task.do(self.lab.tools, self.said.append)

    async def undo(self, task: Task) -> None:
        await task.undo(self.lab.tools, self.said.append)

    async def world(self) -> dict[str, Any]:
        found = await self.lab.world()
        found["files"] = {
            re.sub(r"uploads/\w+", "uploads/one", name): data
            for name, data in found["files"].items()
            if name not in FOLDERS
        }
        found["chutes"] = {
            name: msgspec.structs.replace(one, token="") for name, one in found["chutes"].items()
        }
        return found


@contextlib.asynccontextmanager
async def play(base: Path, story: Story) -> AsyncIterator[Play]:
    async with ChuteLab(base) as lab:
        change = await story(lab, "hello")
        decoder = msgspec.json.Decoder(functools.reduce(operator.or_, tasks.ALL))
        stored = [msgspec.json.encode(task) for task in await lab.planner.plan(change, _quiet)]
        scene = Play(lab, [decoder.decode(one) for one in stored], {})
        scene.before = await scene.world()
        yield scene


def _quiet(_: str) -> None:
    """The stream while planning, which is tested elsewhere."""


def begun(plan: Sequence[Task]) -> int:
    """How many tasks may be begun and still be undone: after them a failure is told and changes nothing."""
    return next((number for number, task in enumerate(plan) if task.best_effort), len(plan))


@every_story
async def test_a_task_that_was_interrupted_is_undone_and_done_again(tmp_path: Path, story: Story) -> None:
    async with play(tmp_path / "straight", story) as straight:
        for task in straight.plan:
            await straight.do(task)
        expected = await straight.world()
    for number in range(len(straight.plan)):
        async with play(tmp_path / f"interrupted-{number}", story) as scene:
            for task in scene.plan[:number]:
                await scene.do(task)
            interrupted = scene.plan[number]
            await scene.undo(interrupted)  # noted as begun, nothing done yet
            await scene.do(interrupted)
            await scene.undo(interrupted)  # all of it done, the note was missing
            await scene.undo(interrupted)  # and the undo was interrupted, too
            for task in scene.plan[number:]:
                await scene.do(task)
            assert await scene.world() == expected, interrupted


@every_story
async def test_undoing_all_gives_the_old_world_back(tmp_path: Path, story: Story) -> None:
    async with play(tmp_path, story) as scene:
        for count in range(begun(scene.plan) + 1):
            for task in scene.plan[:count]:
                await scene.do(task)
            for task in reversed(scene.plan[:count]):
                await scene.undo(task)
                await scene.undo(task)
            assert await scene.world() == scene.before, scene.plan[:count][-1:]


VERBS = ("build", "create_network", "create", "start", "stop", "rename", "remove")


@every_story
async def test_a_task_that_failed_half_way_is_undone(tmp_path: Path, story: Story) -> None:
    """One of two containers is done and the other is not. After each undo the same plan is played again."""
    async with play(tmp_path, story) as scene:
        for verb in VERBS:
            for number, task in enumerate(scene.plan[: begun(scene.plan)]):
                scene.lab.engine.fail_next(verb, "half way")
                with contextlib.suppress(EngineError):
                    await scene.do(task)
                has_failed = not scene.lab.engine._failures.pop(verb)
                if has_failed or number + 1 == begun(scene.plan):
                    for undone in reversed(scene.plan[: number + 1]):
                        await scene.undo(undone)
                    assert await scene.world() == scene.before, (verb, task)
                    break


async def test_the_first_failure_is_told_after_all_have_ended() -> None:
    ended: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0.001 * number)
        ended.append(number)
        if number:
            raise EngineError(f"no {number}")

    with pytest.raises(EngineError, match="no 1"):
        await tasks.each(work, [2, 0, 1][::-1])
    assert sorted(ended) == [0, 1, 2]


async def test_an_image_that_is_there_is_not_pulled_again(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        said: list[str] = []
        for _ in range(2):
            await tasks.PullImage(image="nginx:1").do(lab.tools, said.append)
        assert said == ["Pulling nginx:1 (demo)"]


async def test_titles_say_what_happens() -> None:
    assert tasks.BuildImage(service="main", request=BuildRequest(tag="t", chute="c", context="/")).title == (
        "Building the image of service main"
    )
    assert tasks.SetAside(containers=("a",), running=()).title == ""
    assert tasks.SetAside(containers=("a",), running=("a",)).title == "Stopping the old version"
    assert tasks.DropFiles(chute="x").title == ""
    assert tasks.DropFiles(chute="x", everything=True).title == "Removing data"


def test_every_task_can_be_stored() -> None:
    """The ledger tells them by their tags."""
    tags = [one.__struct_config__.tag for one in tasks.ALL]
    assert len(set(tags)) == len(tags)
    assert all(str(tag).startswith("chutes.") for tag in tags)
