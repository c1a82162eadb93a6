"""The same machine on an asyncio loop, with real processes."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys

import pytest

from tests.parts.descriptors import open_descriptors
from wayhouse.base.errors import ConflictError, NotFoundError, UnavailableError
from wayhouse.runtime.async_supervisor import AsyncSupervisor
from wayhouse.runtime.supervision import facts
from wayhouse.runtime.supervision.child_spec import Backoff, ChildSpec
from wayhouse.runtime.supervision.machine import Outcome
from wayhouse.runtime.zygote import Zygote

QUICK = Backoff(first_s=0.01, factor=1.5, most_s=0.1)


def sleeper(name: str, **how) -> ChildSpec:
    return ChildSpec(name=name, command=("sleep", "60"), backoff=QUICK, **how)


def speaker(name: str, **how) -> ChildSpec:
    code = "import os,time;from wayhouse.runtime import systemd;systemd.ready(os.environ)\nwhile True: time.sleep(.01)"
    return ChildSpec(
        name=name, command=(sys.executable, "-c", code), readiness="notify", backoff=QUICK, **how
    )


async def next_of(happening, kind):
    async with asyncio.timeout(20):
        async for fact in happening:
            if isinstance(fact, kind):
                return fact
    raise AssertionError


async def test_ready_killed_and_ready_again() -> None:
    async with AsyncSupervisor([speaker("a"), sleeper("b", depends_on=("a",))]) as it:
        with it.events() as happening:
            await it.ready("b")
            await it.ready("a")
            first = it.pid("a")
            os.kill(first, signal.SIGKILL)
            ended = await next_of(happening, facts.ChildExited)
            assert ended == facts.ChildExited("a", first, -9, expected=False)
            await it.ready("a")
            assert it.pid("a") != first
    assert (await it.ended()) == Outcome()


async def test_what_its_owner_asks_for() -> None:
    async with AsyncSupervisor([sleeper("a"), sleeper("b")]) as it:
        before = it.pid("a")
        await it.stop("a")
        assert it.pid("a") == 0
        with pytest.raises(UnavailableError):
            await it.ready("a")
        with pytest.raises(ConflictError):
            it.reload("a")
        it.start("a")
        await it.ready("a")
        it.restart("a")
        with it.events() as happening:
            await next_of(happening, facts.ChildReady)
        assert it.pid("a") != before
        with it.events() as happening:
            it.reload("b")  # sleep knows no SIGHUP
            assert (await next_of(happening, facts.ChildExited)).status == -1
        with pytest.raises(NotFoundError):
            await it.ready("zzz")
        it.stop_all()
        assert (await it.ended()) == Outcome()
        with pytest.raises(UnavailableError):
            await it.ready("b")


async def test_a_crash_loop_ends_and_tells_those_who_wait() -> None:
    lines: list = []
    loop = ChildSpec(
        name="a", command=("sh", "-c", "echo oh; exit 3"), backoff=QUICK, readiness="pipe", shutdown_s=1
    )
    async with AsyncSupervisor([loop], intensity=(2, 60), on_line=lambda *line: lines.append(line[2])) as it:
        with pytest.raises(UnavailableError):
            await it.ready("a")
        async with asyncio.timeout(20):
            assert (await it.ended()) == Outcome(failed=True, name="a", status=3)
        assert lines == it.tail("a") == ["oh"] * 3


async def test_leaving_stops_all_even_when_cancelled() -> None:
    pids: list[int] = []
    entered = asyncio.Event()

    async def live() -> None:
        async with AsyncSupervisor([sleeper("a"), sleeper("b")]) as it:
            pids.extend((it.pid("a"), it.pid("b")))
            entered.set()
            await asyncio.sleep(60)

    task = asyncio.get_running_loop().create_task(live())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


async def test_cancelled_while_it_stops_it_kills() -> None:
    deaf = ChildSpec(
        name="a",
        command=("sh", "-c", "trap '' TERM; echo >&$READY_FD; while :; do sleep 1; done"),
        readiness="pipe",
    )
    pids: list[int] = []
    entered = asyncio.Event()

    async def live() -> None:
        async with AsyncSupervisor([deaf]) as it:
            await it.ready("a")
            pids.append(it.pid("a"))
            entered.set()

    task = asyncio.get_running_loop().create_task(live())
    await entered.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not os.path.exists(f"/proc/{pids[0]}")


async def test_orphans() -> None:
    code = "(sh -c 'sleep 0.1; exit 3' &)\nsleep 60"
    async with AsyncSupervisor([ChildSpec(name="a", command=("sh", "-c", code))], adopt_orphans=True) as it:
        with it.events() as happening:
            while (await next_of(happening, facts.OrphanReaped)).status != 3:  # maybe one of an earlier test
                pass


async def test_functions_through_a_zygote() -> None:
    zygote = Zygote()
    zygote.start()
    try:
        spec = ChildSpec(
            name="a",
            target="builtins:exec",
            args=("import os; print(os.getppid()); raise SystemExit(4)",),
            restart="temporary",
        )
        lines: list = []
        async with AsyncSupervisor([spec], zygote=zygote, on_line=lambda *line: lines.append(line[2])) as it:
            with it.events() as happening:
                assert (await next_of(happening, facts.ChildExited)).status == 4
        assert lines == [str(zygote.pid)]
    finally:
        zygote.close()


async def test_handed_over_to_another() -> None:
    old = AsyncSupervisor([speaker("a", survives=True), sleeper("gone", survives=True)])
    async with old:
        await old.ready("a")
        pid = old.pid("a")
        state, fds = old.handover()
        old.resume()
        old.reload("gone")
        await asyncio.sleep(0.05)
        await old.ready("gone")
        state, fds = old.handover()
        copies = [os.dup(fd) for fd in fds]
        old.release()
        with pytest.raises(UnavailableError):
            await old.ready("a")
    async with AsyncSupervisor([speaker("a", survives=True)], moved=(state, copies)) as new:
        assert new.pid("a") == pid
        await new.ready("a")
        with new.events() as happening:
            os.kill(pid, signal.SIGKILL)
            await next_of(happening, facts.ChildReady)
        assert new.pid("a") != pid


async def test_nothing_stays_open() -> None:
    async def once() -> int:
        async with AsyncSupervisor([speaker("a", bank=3), sleeper("b")]) as it:
            await it.ready("a")
        gc.collect()
        return open_descriptors()

    assert await once() == await once()


async def test_a_state_that_is_not_understood() -> None:
    with pytest.raises(ValueError, match=r"understood|incomplete"):
        async with AsyncSupervisor([sleeper("a")], moved=({"machine": {}, "places": {}}, [])):
            pass
