from __future__ import annotations

import pytest

from wayhouse.automation.runs import Outcome, RunSummary, ScenarioView, State
from wayhouse.portal.scenario_rows import OUTCOMES, STATES, because, row_of, run_row, stamp_of


def view(**changes: object) -> ScenarioView:
    facts = {
        "name": "a b",
        "description": "",
        "is_active": True,
        "at_startup": False,
        "state": State.WATCHING,
    }
    return ScenarioView(**{**facts, **changes})


def run(outcome: Outcome) -> RunSummary:
    return RunSummary(id="r1", scenario="a b", cause="asked", started=1.0, outcome=outcome)


def test_every_state_has_a_word():
    assert set(STATES) == set(State)
    assert set(OUTCOMES) == set(Outcome)


def test_what_has_failed():
    assert not row_of(view()).has_failed
    assert not row_of(view(last_run=run(Outcome.LIMITED))).has_failed
    assert row_of(view(state=State.BROKEN)).has_failed
    assert row_of(view(last_run=run(Outcome.LOST))).has_failed


def test_stamps_change_with_what_is_shown():
    assert row_of(view(values={"t": 1})).stamp == row_of(view(values={"t": 2})).stamp
    assert row_of(view()).stamp != row_of(view(is_active=False)).stamp
    assert stamp_of(view(values={"t": 1}), []) != stamp_of(view(values={"t": 2}), [])
    assert stamp_of(view(), [run(Outcome.RUNNING)]) != stamp_of(view(), [run(Outcome.DONE)])


def test_a_run():
    row = run_row(run(Outcome.RUNNING))
    assert (row.path, row.is_over, row.because) == ("/scenarios/a%20b/runs/r1", False, "Run by hand")
    assert run_row(run(Outcome.DONE)).is_over


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("entry boiler", "Because of boiler"),
        ("schedule @sunset", "At its time, @sunset"),
        ("scenario other one", "Started by other one"),
        ("startup", "The gateway has started"),
        ("something", "something"),
    ],
)
def test_causes_in_words(cause, words):
    assert because(cause) == words
