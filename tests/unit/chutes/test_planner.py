"""What a change finds when it runs decides what it does. The stories around it are in `test_service.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.parts.chute_lab import ADA, ADMIN, ChuteLab, app, archive, chunks, light
from wayhouse.chutes import tasks
from wayhouse.chutes.model import BadSpecError, ChuteForbiddenError, ChuteStateError, NoSuchChuteError
from wayhouse.chutes.ports import BuildRequest
from wayhouse.chutes.wishes import Install, Kind, Restart
from wayhouse.ledger.model import Change, State


def quiet(_: str) -> None:
    """Nobody reads along."""


async def builds(lab: ChuteLab, change: Change) -> dict[str, BuildRequest]:
    plan = await lab.planner.plan(change, quiet)
    await lab.planner.settle(lab.wish(Kind.STOP, change.wish.name, number=change.id))
    return {task.service: task.request for task in plan if isinstance(task, tasks.BuildImage)}


async def sent(lab: ChuteLab, document: dict[str, Any], files: dict[str, str] | None = None) -> Install:
    return (await lab.chutes.receive_archive(chunks(archive(document, files)))).install


async def test_a_build_is_ordered_from_the_lasting_place(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        services = {"main": light(source="server", build={"packages": ["curl"]}), "plain": {"source": "."}}
        wish = await sent(
            lab, app(services=services), {"server/requirements.txt": "flask\n", "Dockerfile": "FROM x\n"}
        )
        found = await builds(lab, lab.wish(Kind.CREATE, "hello", wish))
        main, plain = found["main"], found["plain"]
        assert main.tag == "hello-main:c900"
        assert main.context == str(lab.directories.source("hello/900") / "server")
        assert (main.language, main.packages) == ("python3", ("curl",))
        assert "requirements.txt" in (main.dockerfile or "")
        assert (plain.dockerfile, plain.language) == (None, None)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (Kind.STOP, NoSuchChuteError),
        (Kind.START, NoSuchChuteError),
        (Kind.RESTART, NoSuchChuteError),
        (Kind.DELETE, NoSuchChuteError),
    ],
)
async def test_what_is_not_installed_cannot_be_changed(
    tmp_path: Path, kind: Kind, error: type[Exception]
) -> None:
    async with ChuteLab(tmp_path) as lab:
        with pytest.raises(error):
            await lab.planner.plan(lab.wish(kind, "hello", Restart()), quiet)


async def test_states_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        with pytest.raises(ChuteStateError, match="already exists"):
            await lab.planner.plan(lab.wish(Kind.CREATE, "hello", await sent(lab, app())), quiet)
        with pytest.raises(ChuteStateError, match="already running"):
            await lab.planner.plan(lab.wish(Kind.START, "hello", Restart()), quiet)
        await lab.engine.crash("hello-main")
        await lab.engine.stop("hello-main")
        assert await lab.planner.plan(lab.wish(Kind.STOP, "hello"), quiet), (
            "it should run, so stopping it means something"
        )


async def test_an_image_that_vanished_is_built_again(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        assert await builds(lab, lab.wish(Kind.RESTART, "hello", Restart())) == {}
        await lab.engine.remove_image("hello-main:c1")
        found = await builds(lab, lab.wish(Kind.RESTART, "hello", Restart()))
        assert found["main"].context == str(lab.directories.source("hello/1"))


async def test_a_service_to_build_needs_a_bundle(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        wish = Install(fields=app(services={"main": {"source": "."}}))
        with pytest.raises(BadSpecError, match="no bundle was sent") as caught:
            await lab.planner.plan(lab.wish(Kind.CREATE, "hello", wish), quiet)
        assert caught.value.fields == {"path": "services.main"}


async def test_what_an_app_asks_is_checked_when_it_runs(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        privileged = {"main": light(requests={"privileged": True})}
        change = await lab.install(app(services=privileged), actor=ADA)
        assert change.state == State.FAILED
        assert "only an admin" in (change.reason or "")
        await lab.install(app(), actor=ADA)
        change = await lab.ended(await lab.chutes.configure("hello", {"services": privileged}, ADA))
        assert "only an admin" in (change.reason or "")


async def test_warnings_of_a_bundle_are_said_once(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        change = await lab.install(app(colour="red"))
        assert [line for line in await lab.lines(change) if line.startswith("Warning")] == [
            "Warning: `colour` is not known and is ignored"
        ]
        assert lab.chutes.get("hello").spec.warnings == ()
        change = await lab.done(await lab.chutes.restart("hello", ADMIN))
        assert not any(line.startswith("Warning") for line in await lab.lines(change))


async def test_a_change_that_ended_gives_back_what_it_had_claimed(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        for number in range(25):  # the pool has ten
            lab.engine.fail_next("start")
            assert (await lab.install(app(f"app{number}"))).state == State.FAILED
        assert lab.planner._underway == {}
        with pytest.raises(ChuteForbiddenError):
            await lab.planner.plan(lab.wish(Kind.CREATE, "x", Install(fields=_monitor("x"))), quiet)
        assert lab.planner._underway == {}


def _monitor(name: str) -> dict[str, Any]:
    service = {"type": "image", "image": "nginx", "interfaces": {"wlan0": {"type": "wifi-monitor"}}}
    return {"name": name, "services": {"main": service}}


async def test_settling_may_be_repeated(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        change = lab.wish(Kind.CREATE, "hello", await sent(lab, app()))
        await lab.planner.settle(change)
        await lab.planner.settle(change)
        assert lab.directories.uploads() == set()
