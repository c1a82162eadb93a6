"""At start what is there is made to agree with what is installed, and what is being changed is left alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.parts.chute_lab import ADMIN, ChuteLab, app, light
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.chutes.model import Desired
from wayhouse.chutes.ports import BuildRequest, ContainerSpec
from wayhouse.chutes.wishes import Kind
from wayhouse.ledger.model import INTERNAL, State


def quiet(_: str) -> None:
    """Nobody reads along."""


async def orphan(lab: ChuteLab, name: str, chute: str = "ghost") -> None:
    await lab.engine.build(BuildRequest(tag=f"{chute}-main:c77", chute=chute, context="/"), quiet)
    await lab.engine.create(
        ContainerSpec(name=name, chute=chute, service="main", image=f"{chute}-main:c77", change_id=77)
    )


async def settled(lab: ChuteLab) -> None:
    for change in lab.ledger.open_changes():
        await lab.ended(change)


async def test_left_overs_are_swept_and_apps_stay(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        (lab.directories.data("hello") / "kept").write_text("yes")
        before = await lab.world()
        await orphan(lab, "ghost-main")
        await orphan(lab, "hello-main.wh-new", "hello")
        await orphan(lab, "hello-main.wh-old", "hello")
        await orphan(lab, "hello-gone", "hello")
        await lab.engine.create_network("ghost")
        lab.directories.make("ghost")
        lab.directories.source("ghost/3").mkdir(parents=True)
        lab.directories.source("hello/99").mkdir(parents=True)
        lab.directories.new_upload()
        await lab.reconcile()
        assert lab.ledger.open_changes() == []
        assert await lab.world() == before


async def test_a_missing_container_comes_back(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app(services={"main": light(), "extra": light()}))
        await lab.engine.remove("hello-extra")
        await lab.restart()
        await lab.reconcile()
        [change] = lab.ledger.open_changes()
        assert (change.wish.kind, change.actor) == (Kind.RESTART, INTERNAL)
        await lab.done(change)
        assert {state for _, state in (await lab.containers()).values()} == {"running"}
        assert not any("Building" in line for line in await lab.lines(change))


async def test_everything_comes_back_when_the_engine_lost_all(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        for number in range(5):
            await lab.install(app(f"app{number}"))
            (lab.directories.data(f"app{number}") / "kept").write_text("yes")
        lab.engine = FakeEngine(lab.clock)
        await lab.restart()
        await lab.reconcile()
        await settled(lab)
        assert len(await lab.containers()) == 5
        assert all((lab.directories.data(f"app{number}") / "kept").exists() for number in range(5))


async def test_one_that_should_be_stopped_is_stopped(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        await lab.done(await lab.chutes.stop("hello", ADMIN))
        await lab.engine.start("hello-main")
        await lab.reconcile()
        await settled(lab)
        assert (await lab.containers())["hello-main"][1] == "exited"
        assert lab.chutes.get("hello").desired == Desired.STOPPED
        await lab.reconcile()
        assert lab.ledger.open_changes() == []


@pytest.mark.parametrize(("policy", "code", "comes_back"), [("no", 1, False), ("on-failure", 0, False), ("on-failure", 1, True), ("always", 0, True)])  # fmt: skip
async def test_one_that_ended_by_itself_comes_back_as_its_policy_says(
    tmp_path: Path, policy: str, code: int, *, comes_back: bool
) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app(services={"main": light(restart=policy)}))
        container = lab.engine._containers["hello-main"]
        await lab.engine._end(container, code)
        await lab.reconcile()
        assert bool(lab.ledger.open_changes()) is comes_back
        await settled(lab)


class Slow(FakeEngine):
    """Builds for as long as the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.building = asyncio.Event()

    async def build(self, request, say) -> None:
        self.building.set()
        await self.gate.wait()
        await super().build(request, say)


async def test_what_is_being_changed_is_left_alone(tmp_path: Path) -> None:
    engine = Slow()
    async with ChuteLab(tmp_path, engine=engine) as lab:
        first = await lab.send(app("new"))
        await engine.building.wait()
        engine.building.clear()
        await lab.restart()  # the build was interrupted and begins again
        await engine.building.wait()
        queued = await lab.send(app("new", version=2))
        await orphan_while_busy(lab)
        await lab.reconcile()
        assert lab.directories.source("new/1").exists()
        assert lab.directories.uploads() == {
            path.name for path in (lab.paths.data / "uploads").iterdir() if path.is_dir()
        }
        assert len(lab.directories.uploads()) == 2
        assert "new-main.wh-new" in await lab.containers()
        engine.gate.set()
        assert (await lab.ended(first)).state == State.SUCCEEDED
        assert (await lab.ended(queued)).reason == "Chute already exists."
        assert lab.directories.uploads() == set()


async def orphan_while_busy(lab: ChuteLab) -> None:
    await FakeEngine.build(lab.engine, BuildRequest(tag="new-main:c77", chute="new", context="/"), quiet)
    await lab.engine.create(
        ContainerSpec(name="new-main.wh-new", chute="new", service="main", image="new-main:c77", change_id=1)
    )


async def test_it_is_quiet_when_all_is_well(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        before = await lab.world()
        for _ in range(2):
            await lab.reconcile()
        assert lab.ledger.open_changes() == []
        assert await lab.world() == before


async def test_the_system_directory_comes_back_after_a_reboot(tmp_path: Path) -> None:
    """It lives on a file system that a reboot empties."""
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        lab.directories.system("hello").rmdir()
        await lab.reconcile()
        assert lab.directories.system("hello").is_dir()
