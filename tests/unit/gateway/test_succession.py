"""Whatever a successor does, the daemon either carries on as before and says why, or is over."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.parts.house import house
from tests.parts.notified import Manager
from wayhouse import __version__
from wayhouse.base.database import Database
from wayhouse.base.errors import ConflictError, UnavailableError
from wayhouse.base.tasks import Tasks
from wayhouse.gateway.housekeeping import Housekeeping
from wayhouse.gateway.http_moving import HttpConnections
from wayhouse.gateway.inheritance import GROUND, HTTP, KNOWN, LOCK
from wayhouse.gateway.listeners import server
from wayhouse.gateway.sockets import Sockets
from wayhouse.gateway.succession import Disk, Ground, Http, Succession, Work, _Story, command
from wayhouse.gateway.things import CHILDREN, LinksPart, Things
from wayhouse.ledger.model import INTERNAL
from wayhouse.runtime.async_server import AsyncServer
from wayhouse.runtime.succession.rpc_part import RpcAhead, RpcPart
from wayhouse.runtime.succession.upgrade import Parcel, Phase, UpgradeFailedError


class Noted:
    """A part that notes what is done with it."""

    def __init__(
        self,
        name: str,
        done: list[str],
        *,
        phase: Phase = Phase.AT_LEISURE,
        busy: str = "",
        breaks: bool = False,
    ) -> None:
        self.name, self.phase = name, phase
        self._done, self._busy, self._breaks = done, busy, breaks

    async def rest(self, patience_s: float) -> None:
        self._done.append(f"{self.name} rests")
        if self._busy:
            raise UnavailableError(self._busy)

    def pack(self) -> list[Parcel]:
        if self._breaks:
            raise RuntimeError("a defect")
        return [({}, [])]

    def carry_on(self) -> None:
        self._done.append(f"{self.name} carries on")

    def let_go(self) -> None:
        self._done.append(f"{self.name} lets go")


@pytest.fixture
def manager() -> Iterator[Manager]:
    with Manager() as found:
        yield found


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    async with Tasks() as found:
        yield found


@pytest.fixture
def done() -> list[str]:
    return []


@pytest.fixture
def succession(
    manager: Manager, tasks: Tasks, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Succession]:
    """With a program as its heir."""

    def make(code: str, *parts: Any, refusal: str = "") -> Succession:
        monkeypatch.setattr(sys, "orig_argv", ["python", "-c", code])
        env = {**os.environ, **manager.env}
        return Succession(
            parts or [Noted("one", done), Noted("two", done)],
            env,
            tasks,
            refusal=refusal,
            over=lambda: done.append("over"),
        )

    return make


EXITS = "raise SystemExit(3)"
HANGS = "import time; time.sleep(600)"
WRITES = "import socket, sys; socket.socket(fileno=int(sys.argv[-1])).sendall({})"
GARBAGE = WRITES.format(r"b'\0\0\0\5\0\0\0\0hello'")
ENDLESS = WRITES.format(r"b'\xff' * 5000")
HEIR = """
import asyncio, sys
from wayhouse.runtime.succession.elder import refuse
from wayhouse.runtime.succession.heir import Heir
from wayhouse.runtime.succession.heir_process import passage_of
class Taker:
    async def adopt(self, state, fds): pass
async def call_self(): pass
async def main():
    passage = passage_of(int(sys.argv[-1]))
    heir = Heir(passage, program="Wayhouse 9")
"""
REFUSES = HEIR + "    await refuse(passage, 'the disk is full')\nasyncio.run(main())"
PREPARES = HEIR + "    await heir.prepare(frozenset({'one', 'two', 'rpc'}))\n"
DIES_AT_REST = PREPARES + "asyncio.run(main())"
SERVES = (
    PREPARES
    + "    await heir.adopt({'one': Taker(), 'two': Taker(), 'rpc': Taker()}, call_self)\n"
    + "    await heir.farewell(20)\nasyncio.run(main())"
)


async def told(one: Succession) -> tuple[list[str], str]:
    """What is said, and the reason at the end."""
    lines: list[str] = []
    try:
        async for line in one.upgrade():
            lines.append(line)
    except UpgradeFailedError as error:
        return lines, error.message
    return lines, ""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (EXITS, "The successor ended before it could start."),
        (GARBAGE, "A message of the upgrade is not understood"),
        (ENDLESS, "The successor ended before it could start."),
        (REFUSES, "the disk is full"),
    ],
)
async def test_a_successor_that_fails_before_anything_rests(
    succession: Callable[..., Succession], manager: Manager, done: list[str], code: str, reason: str
) -> None:
    one = succession(code)
    lines, why = await told(one)
    assert why.startswith(reason)
    assert lines == [f"starting the successor of Wayhouse {__version__}", f"Nothing was changed: {why}"]
    assert done == []
    assert not one.is_over
    reloading, again = manager.heard()
    assert (reloading.split()[0], again) == ("RELOADING=1", "READY=1")


async def test_one_that_cannot_be_started(
    succession: Callable[..., Succession], manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = succession(EXITS)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    _, why = await told(one)
    assert "cannot be started" in why
    assert manager.heard()[-1] == "READY=1"


async def test_what_came_to_rest_carries_on_in_reverse_order(
    succession: Callable[..., Succession], done: list[str]
) -> None:
    one = succession(DIES_AT_REST)
    lines, why = await told(one)
    assert why == "The successor ended before it could build itself."
    assert lines[1] == "Wayhouse 9 is loaded; coming to rest"
    assert done == ["one rests", "two rests", "two carries on", "one carries on"]


async def test_what_cannot_rest_puts_it_off(succession: Callable[..., Succession], done: list[str]) -> None:
    one = succession(
        SERVES, Noted("one", done), Noted("two", done, busy="An app is being installed."), Noted("rpc", done)
    )
    _, why = await told(one)
    assert why == "An app is being installed."
    assert done == ["one rests", "two rests", "two carries on", "one carries on"]


async def test_a_defect_is_no_silence(
    succession: Callable[..., Succession],
    manager: Manager,
    done: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = succession(SERVES, Noted("one", done), Noted("two", done, phase=Phase.GROUND, breaks=True))
    _, why = await told(one)
    assert "the gateway's log has it" in why
    assert "a defect" in caplog.text
    assert done == ["one rests", "two rests", "two carries on", "one carries on"]
    assert manager.heard()[-1] == "READY=1"
    assert (await told(succession(EXITS)))[1] != ""


async def test_it_can_be_tried_again(succession: Callable[..., Succession], manager: Manager) -> None:
    one = succession(EXITS)
    assert [(await told(one))[1] for _ in range(2)] == ["The successor ended before it could start."] * 2


@pytest.mark.parametrize("with_calls", [False, True])
async def test_a_successor_that_serves(
    succession: Callable[..., Succession], manager: Manager, done: list[str], with_calls: bool
) -> None:
    async with AsyncServer(object()) as calls:
        ahead = RpcAhead(calls)
        rpc = [ahead, RpcPart(calls, ahead)] if with_calls else []
        one = succession(SERVES, Noted("one", done), Noted("two", done), *rpc)
        lines, why = await told(one)
    assert why == ""
    assert one.is_over
    assert done == ["one rests", "two rests", "one lets go", "two lets go", "over"]
    assert lines[2] == "the successor is built; moving connections"
    (reloading, main) = manager.heard()
    pid = int(main.removeprefix("MAINPID="))
    assert (reloading.split()[0], lines[-1]) == ("RELOADING=1", f"process {pid} serves now")
    assert os.waitpid(pid, 0) == (pid, 0)
    with pytest.raises(ConflictError, match="under way"):
        await told(one)
    await one.give_up()  # changes nothing any more
    assert done[-1] == "over"


class Breaking(RpcPart):
    async def leave(self, patience_s: float) -> None:
        raise RuntimeError("a defect")


async def test_it_is_over_even_if_the_last_goodbye_fails(
    succession: Callable[..., Succession], manager: Manager, done: list[str]
) -> None:
    async with AsyncServer(object()) as calls:
        one = succession(SERVES, Breaking(calls, RpcAhead(calls)))
        lines, _ = await told(one)
    assert (done, one.is_over) == (["over"], True)
    assert "Nothing was changed" not in "".join(lines)
    pid = int(manager.heard()[-1].removeprefix("MAINPID="))
    assert os.waitpid(pid, 0) == (pid, 0)


async def hanging(one: Succession) -> tuple[asyncio.Task[Any], int]:
    """An upgrade under way, and the successor's process."""
    task = asyncio.create_task(told(one))
    while not children():
        await asyncio.sleep(0.01)
    (pid,) = children()
    return task, pid


def children() -> list[int]:
    return [child.pid for child in psutil.Process().children() if HANGS in child.cmdline()]


async def test_one_at_a_time_and_taken_back_at_the_end(
    succession: Callable[..., Succession], manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    one = succession(HANGS)
    task, _ = await hanging(one)
    with pytest.raises(ConflictError, match="under way already"):
        await told(one)
    one.begin()
    assert "no upgrade: An upgrade is under way already" in caplog.text
    await one.give_up()
    assert children() == []
    assert (await task)[1] == "The gateway was told to stop."
    assert manager.heard()[-1] == "READY=1"
    assert not one.is_over


async def test_a_successor_that_is_killed(succession: Callable[..., Succession]) -> None:
    task, pid = await hanging(succession(HANGS))
    os.kill(pid, signal.SIGKILL)
    assert (await task)[1] == "The successor ended before it could start."


async def test_none_is_begun_once_the_daemon_stops(succession: Callable[..., Succession]) -> None:
    one = succession(EXITS)
    await one.give_up()
    with pytest.raises(ConflictError, match="The gateway stops"):
        await told(one)


async def test_a_demo_is_not_upgraded(
    succession: Callable[..., Succession], manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    one = succession(EXITS, refusal="A demo is not upgraded.")
    with pytest.raises(ConflictError, match="A demo is not upgraded"):
        await told(one)
    one.begin()
    assert "no upgrade: A demo is not upgraded." in caplog.text
    assert manager.heard() == []


async def test_on_a_signal_the_log_tells(
    succession: Callable[..., Succession], caplog: pytest.LogCaptureFixture
) -> None:
    one = succession(EXITS)
    with caplog.at_level(logging.INFO, logger="wayhouse.gateway.succession"):
        one.begin()
        assert one._task is not None
        await one._task
    said = [record.getMessage() for record in caplog.records if record.name.endswith("succession")]
    assert said == [
        f"upgrade: starting the successor of Wayhouse {__version__}",
        "upgrade: Nothing was changed: The successor ended before it could start.",
    ]


@pytest.mark.parametrize(
    ("own", "then"),
    [
        (["python3", "-m", "wayhouse.gateway"], ["-m", "wayhouse.gateway", "--heir"]),
        (["p", "-X", "dev", "-m", "g", "--data", "/d"], ["-X", "dev", "-m", "g", "--data", "/d", "--heir"]),
        (["p", "-m", "g", "--data", "/d", "--heir", "7"], ["-m", "g", "--data", "/d", "--heir"]),
        (["p", "-m", "g", "--heir", "7", "--data", "/d"], ["-m", "g", "--data", "/d", "--heir"]),
        (["p", "-m", "g", "--heir"], ["-m", "g", "--heir"]),
    ],
)
def test_a_successor_is_started_as_this_was(own: list[str], then: list[str]) -> None:
    assert command(own) == [sys.executable, *then]
    assert command([*command(own), "9"]) == command(own)


async def test_a_story_is_told_in_order_and_ends() -> None:
    story = _Story()
    story.say("one")
    story.say("two")
    story.end(None)
    assert [line async for line in story] == ["one", "two"]
    sad = _Story()
    sad.say("one")
    sad.end(UpgradeFailedError("why"))
    lines = aiter(sad)
    assert await anext(lines) == "one"
    with pytest.raises(UpgradeFailedError, match="why"):
        await anext(lines)


def test_the_ground_is_lock_and_sockets(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with Sockets({}) as listening:
        web = listening.tcp("web", "127.0.0.1", 0)
        local = listening.unix("local", path, 0o600)
        ground = Ground(listening, 99)
        assert (ground.name, ground.phase) == (GROUND, Phase.GROUND)
        assert list(ground.pack()) == [
            ({"name": LOCK}, [99]),
            ({"name": "web"}, [web.fileno()]),
            ({"name": "local"}, [local.fileno()]),
        ]
        ground.carry_on()
        ground.let_go()
    assert path.is_socket()


async def test_changes_rest_and_go_on(tmp_path: Path) -> None:
    async with house(tmp_path) as one, Tasks() as tasks:
        ledger = one.gateway.ledger
        work = Work(ledger, Housekeeping(one.gateway.reconciler, tasks))
        await work.rest(5)
        received = await one.gateway.chutes.receive_config(
            {"name": "app", "services": {"main": {"type": "image", "image": "app"}}}
        )
        change = await one.gateway.chutes.create(received, INTERNAL)
        await asyncio.sleep(0.05)
        assert [found.state for found in ledger.open_changes()] == ["queued"]
        assert list(work.pack()) == []
        work.carry_on()
        assert (await ledger.wait(change.id)).state == "succeeded"
        await work.rest(5)
        work.let_go()


async def test_the_disk_rests_and_goes_on(tmp_path: Path) -> None:
    database = Database(tmp_path / "w.db")
    try:
        disk = Disk(database)
        await disk.rest(5)
        other = Database(tmp_path / "w.db", on_trial=True)  # a successor can write to it now
        other.close()
        writing = asyncio.create_task(database.write(lambda db: db.execute("SELECT 1").fetchall()))
        await asyncio.sleep(0.05)
        assert (writing.done(), list(disk.pack())) == (False, [])
        disk.carry_on()
        assert await writing == [(1,)]
        disk.let_go()
    finally:
        database.close()


async def test_the_parts_are_those_that_a_successor_knows(tmp_path: Path) -> None:
    http = Http(HttpConnections([server(print)]))
    assert (http.name, http.phase) == (HTTP, Phase.AT_LEISURE)
    await http.rest(1)
    assert list(http.pack()) == []
    http.carry_on()
    http.let_go()
    assert {
        http.name,
        Work.name,
        Things.name,
        Disk.name,
        Ground.name,
        CHILDREN,
        LinksPart.name,
        "rpc",
    } == set(KNOWN)
