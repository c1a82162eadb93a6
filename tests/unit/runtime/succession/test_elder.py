# covers: runtime/succession/children_part.py, runtime/succession/heir.py, runtime/succession/heir_process.py, runtime/succession/rpc_part.py
"""A server that is upgraded while a thousand connections use it, and killed at every step of it: no call is lost, doubled or
reordered, no connect is refused, nobody has to connect again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.parts import faults
from tests.parts.ave_v0 import OldClient, call, frame
from wayhouse.runtime.async_remote import AsyncRemote
from wayhouse.runtime.exceptions import Restarting
from wayhouse.runtime.remote import RemoteControl
from wayhouse.runtime.succession import elder as elder_module
from wayhouse.runtime.succession.elder import Elder
from wayhouse.runtime.succession.heir import Heir
from wayhouse.runtime.succession.passage import Passage
from wayhouse.runtime.succession.upgrade import Phase, UpgradeFailedError

UPGRADES = 10
IDLE, HALF, BUSY = 900, 50, 50


class Program:
    """The upgradable server, whichever process serves at the moment."""

    def __init__(self, folder: Path) -> None:
        self.fault = folder / "fault"
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address: tuple[str, int] = self.listener.getsockname()
        number = self.listener.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.parts.upgradable", str(number)],
            pass_fds=[number],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "FAULT_FILE": str(self.fault)},
        )
        self.pid = int(self.line())
        self.pids = [self.pid]

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def upgrade(self, fault: str = "") -> str:
        """Why it failed, or "" when another process serves."""
        if fault:
            self.fault.write_text(fault)
        os.kill(self.pid, signal.SIGHUP)
        told = self.line()
        if not told.isdigit():
            return told
        self.pid = int(told)
        self.pids.append(self.pid)
        return ""

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        assert self.process.stdout is not None
        assert self.process.stdout.read() == ""  # the last one has ended when nobody holds the pipe
        self.process.stdout.close()
        self.process.wait()
        self.listener.close()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    found = Program(tmp_path)
    yield found
    found.stop()


class Load:
    """Clients that call in a loop; each counts on its own, and the server says what number it expected."""

    def __init__(self, address: tuple[str, int], count: int) -> None:
        self.remotes = [RemoteControl(address, None, 30) for _ in range(count)]
        self.sent = [0] * count
        self.wrong: list[str] = []
        self.pids: set[int] = set()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(part,)) for part in (0, 1)]

    def _run(self, part: int) -> None:
        while not self._stop.is_set():
            for number in range(part, len(self.remotes), 2):
                self.call(number)

    def call(self, number: int) -> None:
        due = self.sent[number]
        self.sent[number] += 1
        try:
            expected, pid = self.remotes[number].call("next", f"client {number}", due)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            self.wrong.append(f"client {number}: {error!r}")
            self._stop.set()
            return
        self.pids.add(pid)
        if expected != due:
            self.wrong.append(f"client {number}: {due} came where {expected} was due")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for remote in self.remotes:
            remote.close()


def half_call(name: str, number: int) -> tuple[bytes, bytes]:
    whole = frame(json.dumps(call("next", name, number)).encode())
    return whole[:11], whole[11:]


def test_a_thousand_connections_through_ten_upgrades(program: Program) -> None:
    halves = [OldClient(program.address) for _ in range(HALF)]
    idle = [RemoteControl(program.address, None, 30) for _ in range(IDLE)]
    for number, remote in enumerate(idle):
        assert remote.call("next", f"idle {number}", 0)[0] == 0
    with Load(program.address, BUSY) as load:
        for upgrade in range(UPGRADES):
            for number, client in enumerate(halves):
                client.sock.sendall(half_call(f"half {number}", upgrade)[0])
            assert program.upgrade() == ""
            RemoteControl(program.address, None, 30).close()  # who connects meanwhile is not refused
            for number, client in enumerate(halves):
                client.sock.sendall(half_call(f"half {number}", upgrade)[1])
                assert client.receive()["result"] == [upgrade, program.pid]
    for number, remote in enumerate(idle):
        assert remote.call("next", f"idle {number}", 1) == [1, program.pid]
        remote.close()
    for client in halves:
        client.sock.close()
    assert load.wrong == []
    assert load.pids == set(program.pids)
    assert len(program.pids) == UPGRADES + 1


@pytest.mark.parametrize("fault", faults.ALL)
def test_an_heir_that_dies_at_any_step_changes_nothing(program: Program, fault: str) -> None:
    before = program.pid
    with OldClient(program.address) as half, Load(program.address, 8) as load:
        half.sock.sendall(half_call("half", 0)[0])
        told = program.upgrade(fault)
        assert told.startswith("failed: The successor ended before it could"), told
        assert program.pid == before
        half.sock.sendall(half_call("half", 0)[1])
        assert half.receive()["result"] == [0, before]
        assert program.upgrade() == ""
    assert load.wrong == []
    assert load.pids == {before, program.pid}


def test_an_heir_that_hangs_is_ended(program: Program) -> None:
    with Load(program.address, 8) as load:
        assert "took longer than" in program.upgrade("stop heir after Commit")
        assert program.upgrade() == ""
    assert load.wrong == []


@pytest.mark.parametrize("fault", ["elder after Commit", "elder after Serving"])
def test_an_elder_that_dies_after_the_commit_is_not_missed(program: Program, fault: str) -> None:
    before = program.pid
    with OldClient(program.address) as half, Load(program.address, 8) as load:
        half.sock.sendall(half_call("half", 0)[0])
        assert program.upgrade(fault) == ""
        assert program.process.wait() == -signal.SIGKILL
        half.sock.sendall(half_call("half", 0)[1])
        assert half.receive()["result"] == [0, program.pid]
    assert program.pid != before
    assert load.wrong == []


async def test_calls_that_are_sent_ahead_are_answered_once_and_in_order(program: Program) -> None:
    async with AsyncRemote(program.address) as remote:
        calls: list[asyncio.Task[list[int]]] = []

        async def send_ahead(ends: asyncio.Event) -> None:
            while not ends.is_set():
                number = len(calls)
                calls.append(asyncio.create_task(remote.call("next", "ahead", number)))
                await asyncio.sleep(0 if number % 100 else 0.002)

        ends = asyncio.Event()
        sending = asyncio.create_task(send_ahead(ends))
        for _ in range(2):
            assert await asyncio.to_thread(program.upgrade) == ""
        ends.set()
        await sending
        # Those sent so far may all have been on the wire before the last passage ended.
        calls.append(asyncio.create_task(remote.call("next", "ahead", len(calls))))
        answers = await asyncio.gather(*calls)
    assert [expected for expected, _ in answers] == list(range(len(answers)))
    assert {pid for _, pid in answers} == set(program.pids)


def test_a_call_that_takes_too_long_gets_its_answer_from_the_elder(program: Program) -> None:
    before = program.pid
    with RemoteControl(program.address, None, 30) as remote:
        found: list[object] = []
        thread = threading.Thread(target=lambda: found.append(remote.call("wait", 1.5)))
        thread.start()
        with RemoteControl(program.address, None, 30) as other:
            while other.call("waiting") == 0:
                pass
        assert program.upgrade() == ""
        thread.join()
        assert found == [before]
        with pytest.raises(Restarting):
            remote.call("next", "late", 0)


@pytest.mark.parametrize("fault", ["", "heir after Moved"])
def test_children_run_on_and_are_supervised(program: Program, fault: str) -> None:
    with RemoteControl(program.address, None, 30) as remote:
        child = remote.call("child")
        assert bool(program.upgrade(fault)) == bool(fault)
        assert remote.call("child") == child
        os.kill(child, signal.SIGKILL)
        while remote.call("child") in {0, child}:
            pass
        os.kill(remote.call("child"), 0)


class Resting:
    """A part that remembers what was asked of it."""

    name = "rests"
    phase = Phase.AT_LEISURE

    def __init__(self) -> None:
        self.said: list[str] = []

    async def rest(self, patience_s: float) -> None:
        self.said.append("rest")

    def pack(self) -> tuple[()]:
        return ()

    def carry_on(self) -> None:
        self.said.append("carry on")

    def let_go(self) -> None:
        self.said.append("let go")


async def test_an_elder_that_is_stopped_when_the_heir_serves_lets_go_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(elder_module, "YIELD_S", 3600.0)
    ours, its = socket.socketpair()
    with contextlib.closing(Passage(ours)) as passage, contextlib.closing(Passage(its)) as other:
        part, successor = Resting(), Heir(other, program="2")

        async def end_heir() -> None:
            raise AssertionError

        async def be_heir() -> None:
            await successor.prepare({part.name})
            await successor.adopt({}, lambda: asyncio.sleep(0))

        elder = Elder(passage, [part], program="1", say=lambda _: None, end_heir=end_heir)
        handing = asyncio.create_task(elder.hand_over())
        async with asyncio.timeout(20):
            await be_heir()
            await asyncio.sleep(0.05)
            handing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await handing
        assert (part.said, elder.has_let_go) == (["rest", "let go"], True)


@pytest.mark.parametrize("when", ["before it is spoken to", "before it answers"])
async def test_an_heir_that_has_gone_is_told_the_same_whatever_shows_it(when: str) -> None:
    ours, its = socket.socketpair()

    async def end_heir() -> None:
        with contextlib.suppress(OSError):
            its.close()

    if when == "before it is spoken to":
        its.close()
    else:
        its.shutdown(socket.SHUT_WR)
    with contextlib.closing(Passage(ours)) as passage:
        elder = Elder(passage, [Resting()], program="1", say=lambda _: None, end_heir=end_heir)
        with pytest.raises(UpgradeFailedError, match=r"^The successor ended before it could"):
            await elder.hand_over()
