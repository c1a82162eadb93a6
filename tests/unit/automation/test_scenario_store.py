"""Scenarios, runs, steps and variables on disk, and how much of it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wayhouse.automation.runs import MAX_RUNS, NoSuchRunError, Outcome, RunSummary
from wayhouse.automation.scenario import Scenario
from wayhouse.automation.scenario_store import (
    FEW_STEPS,
    WHOLE_RUNS,
    Batch,
    Given,
    Kept,
    ScenarioStore,
    putting_off,
    setting,
)
from wayhouse.automation.watch import WatchState
from wayhouse.base.database import Database
from wayhouse.base.errors import UnavailableError

STATE = WatchState(None, {"a": 1}, {}, 5.0)
GIVEN = Given({"x": 1}, "code")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "a.db")
    yield database
    database.close()


def run(number: int, scenario: str = "one", ended: float | None = None) -> RunSummary:
    return RunSummary(id=f"r{number}", scenario=scenario, cause="asked", started=float(number), ended=ended)


def step(place: int) -> Kept:
    return Kept(place, place, 1.0, "value", '"t"', b"digest", None, b'{"ok":1}', "1", 0.5)


def ended(one: RunSummary) -> RunSummary:
    return RunSummary(
        id=one.id, scenario=one.scenario, cause=one.cause, started=one.started, ended=one.started + 1,
        outcome=Outcome.FAILED, error="bad", line=3,
    )  # fmt: skip


async def test_scenarios(database: Database) -> None:
    store = ScenarioStore(database)
    await store.add(Scenario(name="one", code="pass"))
    await store.remember({"one": STATE, "gone": STATE})
    await store.put_off("one", "first")
    await store.put_off("one", "second", STATE)
    assert ScenarioStore(database).load() == [(Scenario(name="one", code="pass"), STATE, "first")]
    await store.set_variable("one", "n", 1)
    await store.begin(run(1), GIVEN, None)
    await store.replace("one", Scenario(name="two"))
    assert store.load() == [(Scenario(name="two"), None, None)]
    assert store.variables("two") == {"n": 1}
    assert [one.scenario for one in store.runs("two", 10)] == ["two"]
    await store.remove("two")
    assert (store.load(), store.runs(None, 10), store.variables("two")) == ([], [], {})


async def test_a_row_of_nonsense_is_left_out(database: Database) -> None:
    store = ScenarioStore(database)
    await store.add(Scenario(name="one"))
    await store.add(Scenario(name="two"))
    await database.write(
        lambda it: it.execute("UPDATE scenarios SET document = 'x' WHERE name = 'one'").rowcount
    )
    assert [scenario.name for scenario, _, _ in store.load()] == ["two"]


async def test_runs_and_steps(database: Database) -> None:
    store = ScenarioStore(database)
    await store.add(Scenario(name="one"))
    await store.put_off("one", "waiting")
    await store.begin(run(1), GIVEN, STATE)
    assert store.load()[0][1:] == (STATE, None)
    await store.keep(
        Batch("r1", (step(1), step(2))), setting("one", "n", "text"), putting_off("one", "again")
    )
    await store.keep(Batch("r1", (step(3),), (1,), is_cut=True))
    assert store.variables("one") == {"n": "text"}
    (open_,) = store.open()
    assert (open_.run, open_.given, open_.is_stopping, open_.is_cut) == (run(1), GIVEN, False, True)
    await store.mark_stopping("r1")
    assert store.open()[0].is_stopping
    await store.end(ended(run(1)), Batch("r1", (step(4),)))
    assert store.open() == []
    trace = store.trace("r1")
    assert trace.run == ended(run(1))
    assert [one.number for one in trace.steps] == [2, 3, 4]
    assert trace.is_cut
    with pytest.raises(NoSuchRunError):
        store.trace("r9")
    await store.set_variable("one", "n", None)
    assert store.variables("one") == {}


async def test_how_much_is_kept(database: Database) -> None:
    store = ScenarioStore(database)
    await store.add(Scenario(name="one"))
    await store.add(Scenario(name="two"))
    await store.begin(run(0), GIVEN, None)
    await store.begin(run(9999, "two"), GIVEN, None)
    for number in range(1, MAX_RUNS + 30):
        await store.begin(run(number), GIVEN, None)
        await store.keep(Batch(f"r{number}", tuple(step(place) for place in range(1, FEW_STEPS + 11))))
        await store.end(ended(run(number)), Batch(f"r{number}", ()))
    await store.note_run(ended(run(5000)), STATE)
    found = store.runs("one", 1000)
    assert found[0] == ended(run(5000))
    assert len([one for one in found if one.ended is not None]) == MAX_RUNS - 1  # and one that may begin
    assert found[-1] == run(0)
    assert len(store.runs(None, 1000)) == MAX_RUNS + 1
    whole = [len(store.steps(one.id)) for one in found[1 : WHOLE_RUNS - 1]]
    assert set(whole) == {FEW_STEPS + 10}
    old = found[WHOLE_RUNS + 2]
    assert len(store.steps(old.id)) == FEW_STEPS
    assert store.trace(old.id).is_cut


async def test_a_closed_database_takes_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "b.db")
    store = ScenarioStore(database)
    database.close()
    with pytest.raises(UnavailableError):
        await store.add(Scenario(name="one"))
