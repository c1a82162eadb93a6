"""The process of the links as the daemon has it, with the real process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from wayhouse.base.errors import UnavailableError
from wayhouse.overlay import admission
from wayhouse.overlay.configuration import Configuration
from wayhouse.overlay.drivers.link_child import LinkChild
from wayhouse.overlay.orders import Founding


@pytest.fixture
async def child(tmp_path: Path) -> AsyncIterator[LinkChild]:
    for name in ("data", "run"):
        (tmp_path / name).mkdir()
    lock = tmp_path / "data" / "lock"
    lock.touch()
    with lock.open() as held:
        import fcntl

        fcntl.flock(held, fcntl.LOCK_EX)
        async with LinkChild(data=tmp_path / "data", runtime=tmp_path / "run", lock=lock) as made:
            made.start()
            made.go_on()
            yield made


async def until(is_so: Callable[[], Any]) -> Any:
    async with asyncio.timeout(30):
        while not (found := is_so()):
            await asyncio.sleep(0.02)
    return found


def overlay(name: str = "home") -> Configuration:
    """One that cannot begin: another user's folder, whoever runs this."""
    return admission.found(Founding(name=name, subnet="10.213.0.0/24", is_on_lan=False), "hall")


async def test_there_is_no_process_without_an_overlay(child: LinkChild) -> None:
    child.carry_out([])
    await asyncio.sleep(0.1)
    assert (child.pid, child.is_up, dict(child.states())) == (0, False, {})
    with pytest.raises(UnavailableError, match="Try again"):
        await child.netcheck("home")


async def test_it_is_told_again_after_it_was_killed(child: LinkChild, tmp_path: Path) -> None:
    one = overlay()
    (tmp_path / "data" / "overlay").mkdir()
    (tmp_path / "data" / "overlay" / one.uid).write_text("no folder")  # so that no interface is made
    child.carry_out([one])
    state = await until(lambda: child.states().get("home"))
    assert state.overlay.uid == one.uid
    await until(lambda: "exists" in child.states()["home"].overlay.problem)
    with pytest.raises(UnavailableError, match="not up"):
        await child.netcheck("home")
    pid = child.pid
    os.kill(pid, signal.SIGKILL)
    await until(lambda: child.pid not in {0, pid} and child.states().get("home"))
    await child.rest()
    assert child.pid != 0
    child.go_on()
    child.carry_out([])
    await until(lambda: child.is_up and not child.states())


async def test_one_that_does_not_understand_is_made_anew_once(child: LinkChild, tmp_path: Path) -> None:
    """As one of an older version that has outlived an upgrade."""
    one = overlay()
    (tmp_path / "data" / "overlay").mkdir()
    (tmp_path / "data" / "overlay" / one.uid).write_text("no folder")
    child.carry_out([one])
    await until(lambda: child.states().get("home"))
    pid = child.pid
    known = child._documents
    child._documents = known.replace('"name"', '"of_tomorrow": 1, "name"', 1)
    child._news.set()
    again = await until(lambda: child.pid not in {0, pid} and child.pid)
    await until(lambda: "does not understand" in child.problem())
    await asyncio.sleep(0.5)
    assert child.pid == again
    child.carry_out([one])
    await until(lambda: child.states().get("home") and not child.problem())
    assert child.pid == again


async def test_its_end_is_the_end_of_the_process(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    async with LinkChild(data=tmp_path, runtime=tmp_path, lock=lock) as child:
        child.start()
        child.carry_out([])
    assert child.supervisor is None
