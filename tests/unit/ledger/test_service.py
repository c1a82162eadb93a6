# covers: ledger/runner.py, ledger/store.py, ledger/task.py, ledger/model.py
"""The ledger from outside: order, undo, streams, cancel, and what is found again after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from wayhouse.base.clock import ManualClock
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError, ConflictError, UnavailableError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.ledger.model import (
    Actor,
    Change,
    ChangeMoved,
    NoSuchChangeError,
    NotCancellableError,
    State,
    Wish,
)
from wayhouse.ledger.service import Ledger
from wayhouse.ledger.task import Say, Task

ME = Actor("ada")


class World:
    """What the tasks change: a list of what was done, and switches that make a task fail or wait."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.things: set[str] = set()
        self.fail: set[str] = set()
        self.fail_undo: set[str] = set()
        self.gates: dict[str, asyncio.Event] = {}
        self.settled: list[int] = []


class Put(Task, frozen=True, tag="test.put"):
    thing: str

    @property
    def title(self) -> str:
        return f"Putting {self.thing}"

    async def do(self, tools: World, say: Say) -> None:
        tools.log.append(f"do {self.thing}")
        tools.things.add(self.thing)
        if self.thing in tools.gates:
            await tools.gates[self.thing].wait()
        if self.thing in tools.fail:
            raise ConflictError(f"{self.thing} does not fit")

    async def undo(self, tools: World, say: Say) -> None:
        tools.log.append(f"undo {self.thing}")
        if f"undo {self.thing}" in tools.gates:
            await tools.gates[f"undo {self.thing}"].wait()
        tools.things.discard(self.thing)
        if self.thing in tools.fail_undo:
            raise ConflictError(f"{self.thing} is stuck")


class Crash(Task, frozen=True, tag="test.crash"):
    async def do(self, tools: World, say: Say) -> None:
        raise ZeroDivisionError("secret detail")


class Sweep(Task, frozen=True, tag="test.sweep"):
    best_effort = True

    async def do(self, tools: World, say: Say) -> None:
        raise ConflictError("nothing to sweep with")


class Names(msgspec.Struct):
    things: list[str]


class Plans:
    def __init__(self, world: World) -> None:
        self.world = world

    async def plan(self, change: Change, say: Say) -> list[Task]:
        names = msgspec.json.decode(change.wish.data, type=Names).things
        special: dict[str, Callable[[], Task]] = {"crash": Crash, "sweep": Sweep}
        return [special[name]() if name in special else Put(thing=name) for name in names]

    def resume(self, change: Change, tasks: object) -> None:
        self.world.log.append(f"resume {change.id}")

    async def settle(self, change: Change) -> None:
        self.world.settled.append(change.id)

    def verdict(self, change: Change) -> str:
        return f"Completed: {'success' if change.state == State.SUCCEEDED else 'failure'}"


@asynccontextmanager
async def ledger_on(path: Path, world: World, *, width: int = 4) -> AsyncIterator[Ledger]:
    database = Database(path / "state.db")
    try:
        async with Tasks() as tasks:
            ledger = Ledger(database, Events(), ManualClock(), tasks, width=width)
            ledger.register("test", Plans(world), [Put, Crash, Sweep], world)
            await ledger.start()
            yield ledger
    finally:
        database.close()


def wish(*things: str, resource: str = "x") -> Wish:
    return Wish(
        kind="test", resource=resource, name="n", data=msgspec.Raw(msgspec.json.encode(Names(list(things))))
    )


async def lines(ledger: Ledger, change_id: int) -> list[str]:
    return [entry.line.message async for batch in ledger.watch(change_id) for entry in batch]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.002)
    pytest.fail("did not come true")


async def test_tasks_run_in_order_and_stream_ends_with_verdict(tmp_path: Path) -> None:
    world = World()
    async with ledger_on(tmp_path, world) as ledger:
        change = await ledger.submit(wish("a", "b"), ME)
        assert await lines(ledger, change.id) == ["Putting a", "Putting b", "Completed: success"]
        assert world.log == ["do a", "do b"]
        assert ledger.get(change.id).state == State.SUCCEEDED
        assert await lines(ledger, change.id) == [
            "Putting a",
            "Putting b",
            "Completed: success",
        ]  # replay from disk
        await until(lambda: world.settled == [change.id])


async def test_failing_task_undoes_itself_and_all_before_and_says_why_before_closing(tmp_path: Path) -> None:
    world = World()
    world.fail.add("b")
    async with ledger_on(tmp_path, world) as ledger:
        change = await ledger.submit(wish("a", "b", "c"), ME)
        said = await lines(ledger, change.id)
        assert said[-2:] == ["Reason: b does not fit", "Completed: failure"]
        assert world.log == ["do a", "do b", "undo b", "undo a"]
        assert world.things == set()
        final = ledger.get(change.id)
        assert (final.state, final.reason) == (State.FAILED, "b does not fit")


async def test_failing_undo_is_told_and_does_not_stop_the_others(tmp_path: Path) -> None:
    world = World()
    world.fail.add("c")
    world.fail_undo.add("b")
    async with ledger_on(tmp_path, world) as ledger:
        change = await ledger.submit(wish("a", "b", "c"), ME)
        said = await lines(ledger, change.id)
        assert "Could not undo 'Putting b': b is stuck" in said
        assert world.log[-1] == "undo a"


async def test_unforeseen_failure_does_not_leak_and_does_not_kill(tmp_path: Path) -> None:
    world = World()
    async with ledger_on(tmp_path, world) as ledger:
        change = await ledger.submit(wish("crash"), ME)
        said = await lines(ledger, change.id)
        assert not any("secret detail" in text for text in said)
        assert any("ZeroDivisionError" in text for text in said)
        assert (await ledger.wait((await ledger.submit(wish("a"), ME)).id)).state == State.SUCCEEDED


async def test_best_effort_task_does_not_undo(tmp_path: Path) -> None:
    world = World()
    async with ledger_on(tmp_path, world) as ledger:
        change = await ledger.submit(wish("a", "sweep"), ME)
        assert (await ledger.wait(change.id)).state == State.SUCCEEDED
        assert world.things == {"a"}


async def test_one_resource_in_order_others_at_the_same_time(tmp_path: Path) -> None:
    world = World()
    world.gates["slow"] = asyncio.Event()
    async with ledger_on(tmp_path, world) as ledger:
        first = await ledger.submit(wish("slow", resource="r"), ME)
        second = await ledger.submit(wish("after", resource="r"), ME)
        other = await ledger.submit(wish("other", resource="s"), ME)
        assert (await ledger.wait(other.id)).state == State.SUCCEEDED
        assert "do after" not in world.log
        assert [change.id for change in ledger.open_changes()] == [first.id, second.id]
        world.gates["slow"].set()
        await ledger.wait(second.id)
        assert world.log.index("do slow") < world.log.index("do after")


async def test_cancel_only_while_queued(tmp_path: Path) -> None:
    world = World()
    world.gates["slow"] = asyncio.Event()
    async with ledger_on(tmp_path, world) as ledger:
        first = await ledger.submit(wish("slow"), ME)
        second = await ledger.submit(wish("never"), ME)
        await until(lambda: "do slow" in world.log)
        assert (await ledger.cancel(second.id, ME)).state == State.CANCELLED
        assert (await lines(ledger, second.id))[0] == "Reason: Cancelled by ada."
        with pytest.raises(NotCancellableError):
            await ledger.cancel(first.id, ME)
        world.gates["slow"].set()
        await ledger.wait(first.id)
        assert "do never" not in world.log


async def test_unknown_change_and_unknown_kind(tmp_path: Path) -> None:
    async with ledger_on(tmp_path, World()) as ledger:
        with pytest.raises(NoSuchChangeError):
            ledger.get(99)
        with pytest.raises(BadInputError):
            await ledger.submit(Wish(kind="none", resource="x", name="x"), ME)


async def test_a_stop_in_the_middle_is_finished_at_the_next_start_and_ids_rise(tmp_path: Path) -> None:
    world = World()
    world.gates["b"] = asyncio.Event()
    async with ledger_on(tmp_path, world) as ledger:
        change = await ledger.submit(wish("a", "b", "c"), ME)
        queued = await ledger.submit(wish("d"), ME)
        await until(lambda: "do b" in world.log)
    world.gates.clear()
    world.log.clear()
    async with ledger_on(tmp_path, world) as ledger:
        assert (await ledger.wait(change.id)).state == State.SUCCEEDED
        assert (await ledger.wait(queued.id)).state == State.SUCCEEDED
        assert world.log == [f"resume {change.id}", "undo b", "do b", "do c", "do d"]
        assert (await lines(ledger, change.id)).count("Putting a") == 1
        assert (await ledger.submit(wish("e"), ME)).id > queued.id


async def test_a_stop_while_undoing_goes_on_undoing(tmp_path: Path) -> None:
    world = World()
    world.fail.add("c")
    world.gates["undo b"] = asyncio.Event()
    async with ledger_on(tmp_path, world) as ledger:
        change = await ledger.submit(wish("a", "b", "c"), ME)
        await until(lambda: "undo b" in world.log)
    world.gates.clear()
    world.log.clear()
    async with ledger_on(tmp_path, world) as ledger:
        final = await ledger.wait(change.id)
        assert (final.state, final.reason) == (State.FAILED, "c does not fit")
        assert world.log == ["undo b", "undo a"]
        assert world.things == set()


async def test_tasks_of_a_settled_change_are_forgotten(tmp_path: Path) -> None:
    """They may hold secrets."""
    async with ledger_on(tmp_path, World()) as ledger:
        await ledger.wait((await ledger.submit(wish("a"), ME)).id)
    database = Database(tmp_path / "state.db")
    assert database.read("SELECT * FROM change_tasks") == []
    database.close()


async def test_many_watchers_see_the_same(tmp_path: Path) -> None:
    world = World()
    world.gates["a"] = asyncio.Event()
    async with ledger_on(tmp_path, world) as ledger:
        change = await ledger.submit(wish("a", "b"), ME)
        watching = [asyncio.ensure_future(lines(ledger, change.id)) for _ in range(50)]
        await asyncio.sleep(0)
        world.gates["a"].set()
        seen = await asyncio.gather(*watching)
        assert all(one == ["Putting a", "Putting b", "Completed: success"] for one in seen)


async def test_states_are_published(tmp_path: Path) -> None:
    events = Events()
    database = Database(tmp_path / "state.db")
    with events.subscribe(ChangeMoved) as moved:
        async with Tasks() as tasks:
            ledger = Ledger(database, events, ManualClock(), tasks)
            world = World()
            ledger.register("test", Plans(world), [Put, Crash], world)
            await ledger.wait((await ledger.submit(wish("a"), ME)).id)
    assert [event.change.state async for event in moved] == [State.QUEUED, State.RUNNING, State.SUCCEEDED]
    database.close()


async def test_history_newest_first(tmp_path: Path) -> None:
    async with ledger_on(tmp_path, World()) as ledger:
        ids = [(await ledger.submit(wish("a", resource=f"r{n % 2}"), ME)).id for n in range(6)]
        await asyncio.gather(*(ledger.wait(change_id) for change_id in ids))
        assert [change.id for change in ledger.history(limit=3)] == ids[:2:-1]
        assert [change.id for change in ledger.history(before=ids[1], limit=9)] == ids[:1]
        assert [change.id for change in ledger.history(resource="r1")] == ids[5::-2]


async def test_registering_twice_is_a_defect(tmp_path: Path) -> None:
    async with ledger_on(tmp_path, World()) as ledger:
        with pytest.raises(ValueError, match="twice"):
            ledger.register("test", Plans(World()), [Put], World())


class Full:
    """A disk that is full from the moment a task says so."""

    def __init__(self, ledger: Ledger) -> None:
        self.is_full = False
        mark = ledger._store.mark

        async def failing(change_id: int, states: object) -> None:
            if self.is_full:
                raise UnavailableError("the disk is full")
            await mark(change_id, states)  # type: ignore[arg-type]

        ledger._store.mark = failing  # type: ignore[method-assign]


class FillDisk(Task, frozen=True, tag="test.fill"):
    """Stands for the point of no return, after which the disk happens to be full."""

    async def do(self, tools: World, say: Say) -> None:
        tools.log.append("saved")
        tools.disk.is_full = True

    async def undo(self, tools: World, say: Say) -> None:
        tools.log.append("unsaved")


async def test_a_full_disk_after_the_point_of_no_return_undoes_nothing(tmp_path: Path) -> None:
    world = World()
    async with ledger_on(tmp_path, world) as ledger:

        class Ends(Plans):
            async def plan(self, change: Change, say: Say) -> list[Task]:
                return [FillDisk(), Sweep()]

        ledger.register("ends", Ends(world), [FillDisk, Sweep], world)
        world.disk = Full(ledger)  # type: ignore[attr-defined]
        change = await ledger.submit(Wish(kind="ends", resource="x", name="x"), ME)
        assert (await ledger.wait(change.id)).state == State.SUCCEEDED
        assert world.log == ["saved"]


@pytest.mark.parametrize("moves", [False, True])
async def test_at_rest_a_change_is_left_between_two_tasks(tmp_path: Path, moves: bool) -> None:
    world = World()
    world.gates["b"] = asyncio.Event()
    async with ledger_on(tmp_path, world) as ledger:
        change = await ledger.submit(wish("a", "b", "c"), ME)
        await until(lambda: "do b" in world.log)
        resting = asyncio.create_task(ledger.rest(20))
        await asyncio.sleep(0)
        late = await ledger.submit(wish("d", resource="y"), ME)
        world.gates["b"].set()
        await resting
        assert world.log == ["do a", "do b"]
        if not moves:
            ledger.carry_on()
            assert (await ledger.wait(change.id)).state == State.SUCCEEDED
            assert (await ledger.wait(late.id)).state == State.SUCCEEDED
    if moves:
        async with ledger_on(tmp_path, world) as ledger:
            assert (await ledger.wait(change.id)).state == State.SUCCEEDED
            assert (await ledger.wait(late.id)).state == State.SUCCEEDED
    assert sorted(one for one in world.log if "resume" not in one) == ["do a", "do b", "do c", "do d"]


async def test_a_task_that_takes_too_long_is_interrupted_and_done_again(tmp_path: Path) -> None:
    world = World()
    world.gates["b"] = asyncio.Event()
    async with ledger_on(tmp_path, world) as ledger:
        change = await ledger.submit(wish("a", "b"), ME)
        await until(lambda: "do b" in world.log)
        await ledger.rest(0.01)
        world.gates.clear()
        ledger.carry_on()
        assert (await ledger.wait(change.id)).state == State.SUCCEEDED
        assert world.log == ["do a", "do b", f"resume {change.id}", "undo b", "do b"]


async def test_undoing_rests_between_two_tasks(tmp_path: Path) -> None:
    world = World()
    world.fail.add("c")
    world.gates["undo b"] = asyncio.Event()
    async with ledger_on(tmp_path, world) as ledger:
        change = await ledger.submit(wish("a", "b", "c"), ME)
        await until(lambda: "undo b" in world.log)
        resting = asyncio.create_task(ledger.rest(20))
        await asyncio.sleep(0)
        world.gates["undo b"].set()
        await resting
        assert world.things == {"a"}
        ledger.carry_on()
        assert (await ledger.wait(change.id)).state == State.FAILED
        assert world.log == ["do a", "do b", "do c", "undo c", "undo b", "undo a"]
