"""A journal written, read again and gone through, cut, and refused by the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wayhouse.automation.asks import Ask, Command, Now, ValueOf
from wayhouse.automation.journal import Journal, ReplayError
from wayhouse.automation.runs import MAX_STEPS, RunSummary, Step
from wayhouse.automation.scenario import Scenario
from wayhouse.automation.scenario_store import Given, ScenarioStore
from wayhouse.base.clock import ManualClock
from wayhouse.base.database import Database
from wayhouse.base.errors import UnavailableError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "a.db")
    yield database
    database.close()


@pytest.fixture
async def store(database: Database) -> ScenarioStore:
    store = ScenarioStore(database)
    await store.add(Scenario(name="one"))
    run = RunSummary(id="r", scenario="one", cause="asked", started=0.0)
    await store.begin(run, Given({}, ""), None)
    return store


class Opened(Journal):
    """With the steps that were told of."""

    def __init__(self, store: ScenarioStore) -> None:
        self.told: list[Step] = []
        super().__init__(store, "r", ManualClock(), store.steps("r"), self.told.append)

    def did(self, ask: Ask, answer: bytes = b"1") -> None:
        self.finish(self.take(ask), answer, "shown")


async def test_what_was_told_is_told_again(store: ScenarioStore) -> None:
    first = Opened(store)
    first.did(ValueOf("a"), b"1")
    step = first.begin(first.take(Command("lamp", "on")), b"{}")
    await first.say("print", "hello")
    assert first.is_waiting
    await first.flush()
    assert not first.is_waiting
    assert [one.call for one in first.told] == ["value", "command", "print"]
    again = Opened(store)
    assert again.is_replaying
    assert again.take(ValueOf("a")).answer == b"1"
    await again.say("print", "is not said again")
    begun = again.take(Command("lamp", "on"))
    assert (begun.answer, begun.note, begun.place) == (None, b"{}", step.place)
    assert not again.is_replaying
    again.finish(begun, b"2", "")
    await again.say("print", "more")
    await again.flush()
    assert [(one.number, one.call, one.answer) for one in store.steps("r")] == [
        (1, "value", b"1"), (2, "command", b"2"), (0, "print", None), (0, "print", None),
    ]  # fmt: skip


async def test_asking_something_else_is_refused(store: ScenarioStore) -> None:
    first = Opened(store)
    first.did(ValueOf("a"))
    await first.flush()
    for ask in (ValueOf("b"), Now()):
        with pytest.raises(ReplayError, match="as step 1"):
            Opened(store).take(ask)


async def test_what_is_not_written_is_asked_anew(store: ScenarioStore) -> None:
    first = Opened(store)
    first.did(ValueOf("a"))
    again = Opened(store)
    assert again.take(ValueOf("b")).answer is None


async def test_a_long_one_is_cut(store: ScenarioStore) -> None:
    one = Opened(store)
    for _ in range(MAX_STEPS + 300):
        one.did(Now())
    await one.flush()
    kept = store.steps("r")
    assert one.is_cut
    assert store.open()[0].is_cut
    assert MAX_STEPS <= len(kept) <= MAX_STEPS + 200
    assert kept[-1].number == MAX_STEPS + 300


async def test_a_large_one_is_cut(store: ScenarioStore) -> None:
    one = Opened(store)
    for number in range(20):
        one.did(Now(), b"x" * 10**6)
        assert one.is_cut is (number >= 8)
    await one.flush()
    assert sum(len(step.answer or b"") for step in store.steps("r")) < 9 * 10**6


async def test_lines_are_bounded_apart(store: ScenarioStore) -> None:
    one = Opened(store)
    one.did(Now())
    for number in range(1500):
        await one.say("print", str(number))
    await one.flush()
    kept = store.steps("r")
    assert not one.is_cut
    assert store.trace("r").is_cut
    assert kept[0].call == "now"
    assert len(kept) < 750
    assert kept[-1].text == "1499"
    again = Opened(store)
    again.did(Now())
    for _ in range(800):
        await again.say("print", "x")
    await again.flush()
    assert len(store.steps("r")) < 750


async def test_a_disk_that_takes_nothing(store: ScenarioStore, database: Database) -> None:
    one = Opened(store)
    one.did(Now())
    database.close()
    with pytest.raises(UnavailableError):
        await one.flush()
    assert list(one.waiting()) == [1]
