"""Scenarios and runs as the pages show them: the word and look of each state, and a stamp that changes when they do. Pure."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from wayhouse.automation.runs import Outcome, RunSummary, ScenarioView, State
from wayhouse.portal.model import scenario_path

STATES = {
    State.ASLEEP: ("stopped", "Switched off"),
    State.WATCHING: ("running", "Watching"),
    State.RUNNING: ("busy", "Running"),
    State.UNREADY: ("partly", "Needs a setting"),
    State.BROKEN: ("failing", "Broken"),
}
OUTCOMES = {
    Outcome.RUNNING: ("busy", "Running"),
    Outcome.DONE: ("running", "Done"),
    Outcome.FAILED: ("failing", "Failed"),
    Outcome.STOPPED: ("stopped", "Stopped"),
    Outcome.LIMITED: ("partly", "Held back"),
    Outcome.LOST: ("failing", "Lost"),
}
"""The look and the word of each."""
_CAUSES = {"asked": "Run by hand", "startup": "The gateway has started", "wait": "It held for long enough"}
BAD = frozenset({Outcome.FAILED, Outcome.LOST})


class ScenarioRow(msgspec.Struct, frozen=True, kw_only=True):
    view: ScenarioView
    look: str
    word: str
    stamp: str

    @property
    def path(self) -> str:
        return scenario_path(self.view.name)

    @property
    def has_failed(self) -> bool:
        """It is broken, or its last run went wrong."""
        last = self.view.last_run
        return self.view.state is State.BROKEN or (last is not None and last.outcome in BAD)


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    run: RunSummary
    look: str
    word: str

    @property
    def path(self) -> str:
        return scenario_path(self.run.scenario, f"/runs/{self.run.id}")

    @property
    def because(self) -> str:
        """What began it, in words."""
        return because(self.run.cause)

    @property
    def is_over(self) -> bool:
        return self.run.outcome is not Outcome.RUNNING


def row_of(view: ScenarioView) -> ScenarioRow:
    look, word = STATES[view.state]
    return ScenarioRow(view=view, look=look, word=word, stamp=_stamp(_lasting(view)))


def stamp_of(view: ScenarioView, runs: list[RunSummary]) -> str:
    """Changes with anything that the scenario's page shows."""
    return _stamp((view, [(run.id, run.outcome) for run in runs]))


def run_row(run: RunSummary) -> RunRow:
    look, word = OUTCOMES[run.outcome]
    return RunRow(run=run, look=look, word=word)


def because(cause: str) -> str:
    """Of a run's cause: "asked" is "Run by hand", "entry boiler" is "boiler"."""
    kind, _, rest = cause.partition(" ")
    if kind == "entry" and rest:
        return f"Because of {rest}"
    if kind == "schedule" and rest:
        return f"At its time, {rest}"
    if kind == "scenario" and rest:
        return f"Started by {rest}"
    return _CAUSES.get(cause, cause)


def _lasting(view: ScenarioView) -> Any:
    """Without the values that move."""
    return (
        view.name,
        view.description,
        view.is_active,
        view.state,
        view.reason,
        view.last_run,
        view.next_run,
    )


def _stamp(facts: Any) -> str:
    return f"{zlib.crc32(repr(facts).encode('utf-8', 'replace')):x}"
