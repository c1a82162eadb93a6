"""Scenarios, their variables, what their triggers remember, their runs and each run's steps, in the room's tables of the database.

Called by `scenario_service` and `journal`. Rules: what an `await` here has returned from is on disk; the last `MAX_RUNS` runs of a
scenario are kept, with all steps of the last `WHOLE_RUNS` and the last `FEW_STEPS` of the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from wayhouse.automation.parameter import Plain
from wayhouse.automation.runs import MAX_RUNS, MAX_STEPS, NoSuchRunError, Outcome, RunSummary, RunTrace, Step
from wayhouse.automation.scenario import Scenario
from wayhouse.automation.watch import WatchState
from wayhouse.base import codec
from wayhouse.base.database import Connection, Database, Row
from wayhouse.base.errors import WayhouseError

WHOLE_RUNS = 20
FEW_STEPS = 100
SCHEMA = (
    """
    CREATE TABLE scenarios (
        name TEXT PRIMARY KEY, document BLOB NOT NULL, watch BLOB, waiting_cause TEXT) WITHOUT ROWID;
    CREATE TABLE scenario_variables (
        scenario TEXT NOT NULL REFERENCES scenarios ON DELETE CASCADE ON UPDATE CASCADE, name TEXT NOT NULL,
        value BLOB NOT NULL, PRIMARY KEY (scenario, name)) WITHOUT ROWID;
    CREATE TABLE scenario_runs (
        place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        scenario TEXT NOT NULL REFERENCES scenarios ON DELETE CASCADE ON UPDATE CASCADE,
        cause TEXT NOT NULL, started REAL NOT NULL, ended REAL, outcome TEXT NOT NULL, error TEXT NOT NULL,
        line INTEGER, given BLOB NOT NULL, is_stopping INTEGER NOT NULL DEFAULT 0,
        is_cut INTEGER NOT NULL DEFAULT 0, lacks_steps INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX scenario_runs_of ON scenario_runs (scenario, place);
    CREATE INDEX scenario_runs_open ON scenario_runs (ended) WHERE ended IS NULL;
    CREATE TABLE scenario_steps (
        run TEXT NOT NULL REFERENCES scenario_runs (id) ON DELETE CASCADE, place INTEGER NOT NULL,
        number INTEGER NOT NULL, at REAL NOT NULL, call TEXT NOT NULL, text TEXT NOT NULL, digest BLOB NOT NULL,
        note BLOB, answer BLOB, result TEXT, took REAL NOT NULL, PRIMARY KEY (run, place)) WITHOUT ROWID;
    """,
)
_SUMMARY = "id, scenario, cause, started, ended, outcome, error, line"
_STEP = "place, number, at, call, text, digest, note, answer, result, took"
_THIN_OUT = """
    DELETE FROM scenario_steps
    WHERE run = ?1 AND place <= (SELECT max(place) FROM scenario_steps WHERE run = ?1) - ?2
"""
Work = Callable[[Connection], None]
log = logging.getLogger(__name__)


class Given(msgspec.Struct, frozen=True):
    """What a run began with, so that it can be repeated: the parameters, and which code it was."""

    settings: dict[str, Plain]
    code: str


class Open(NamedTuple):
    """A run that had not ended."""

    run: RunSummary
    given: Given
    is_stopping: bool
    is_cut: bool


class Kept(NamedTuple):
    """A step as stored. `place`: of all rows of the run; `digest`: of what was asked; `note`: what a step that is under way must
    know to go on; `answer`: what the code was told, None while it is under way."""

    place: int
    number: int
    at: float
    call: str
    text: str
    digest: bytes
    note: bytes | None
    answer: bytes | None
    result: str | None
    took_s: float

    def shown(self) -> Step:
        return Step(
            number=self.number,
            at=self.at,
            call=self.call,
            text=self.text,
            result=self.result,
            took_s=self.took_s,
        )


class Batch(NamedTuple):
    """What a journal writes at once. `gone`: places to take away; `is_cut`, `lacks_steps`: marks to set on the run."""

    run: str
    steps: tuple[Kept, ...]
    gone: tuple[int, ...] = ()
    is_cut: bool = False
    lacks_steps: bool = False


class ScenarioStore:
    def __init__(self, database: Database) -> None:
        """Raises `PermanentError` for a database of a newer version."""
        self._database = database
        database.migrate("automation.scenario", SCHEMA)

    # ---- scenarios

    def load(self) -> list[tuple[Scenario, WatchState | None, str | None]]:
        """All, by name, with what each trigger remembers and the cause of a run that is still to come. A row that makes no sense is
        left out, with a line in the log; a trigger whose memory makes none begins anew."""
        rows = self._database.read("SELECT name, document, watch, waiting_cause FROM scenarios ORDER BY name")
        found = []
        for name, document, watch, cause in rows:
            try:
                scenario = codec.decode_json(document, Scenario, what="stored scenario")
            except WayhouseError as error:
                log.error("scenario %s is left out: %s", name, error)  # noqa: TRY400 - said well enough
            else:
                found.append((scenario, _remembered(name, watch), cause))
        return found

    async def add(self, scenario: Scenario) -> None:
        row = (scenario.name, codec.encode_json(scenario))
        await self._write(lambda it: _done(it, "INSERT INTO scenarios (name, document) VALUES (?, ?)", row))

    async def replace(self, name: str, scenario: Scenario) -> None:
        """Its name may be another; what its trigger remembered is gone, its runs and variables stay."""
        row = (scenario.name, codec.encode_json(scenario), name)
        sql = "UPDATE scenarios SET name = ?, document = ?, watch = NULL, waiting_cause = NULL WHERE name = ?"
        await self._write(lambda it: _done(it, sql, row))

    async def remove(self, name: str) -> None:
        await self._write(lambda it: _done(it, "DELETE FROM scenarios WHERE name = ?", (name,)))

    async def remember(
        self, states: Mapping[str, WatchState], causes: Mapping[str, str] | None = None
    ) -> None:
        """What triggers remember; and why some, by name, are to run once more."""
        rows = [(codec.encode_json(state), name) for name, state in states.items()]

        def work(it: Connection) -> None:
            it.executemany("UPDATE scenarios SET watch = ? WHERE name = ?", rows)
            for name, cause in (causes or {}).items():
                putting_off(name, cause)(it)

        await self._write(work)

    async def put_off(self, name: str, cause: str, state: WatchState | None = None) -> None:
        """It is to run once more; the first cause stands."""
        await self._write(putting_off(name, cause, state))

    # ---- runs

    async def begin(self, run: RunSummary, given: Given, state: WatchState | None) -> None:
        """A run, and in the same step what the trigger remembers then; one that was put off is not to come any more."""

        def work(it: Connection) -> None:
            _insert_run(it, run, given)
            _do(it, "UPDATE scenarios SET waiting_cause = NULL WHERE name = ?", (run.scenario,))
            if state is not None:
                row = (codec.encode_json(state), run.scenario)
                _do(it, "UPDATE scenarios SET watch = ? WHERE name = ?", row)
            _tidy(it, run.scenario)

        await self._write(work)

    async def note_run(self, run: RunSummary, state: WatchState | None) -> None:
        """One that has ended before it began."""

        def work(it: Connection) -> None:
            _insert_run(it, run, Given({}, ""))
            if state is not None:
                row = (codec.encode_json(state), run.scenario)
                _do(it, "UPDATE scenarios SET watch = ? WHERE name = ?", row)
            _tidy(it, run.scenario)

        await self._write(work)

    async def mark_stopping(self, run: str) -> None:
        """It is not to be carried on."""
        await self._write(
            lambda it: _done(it, "UPDATE scenario_runs SET is_stopping = 1 WHERE id = ?", (run,))
        )

    async def end(self, run: RunSummary, last: Batch) -> None:
        row = (run.ended, run.outcome.value, run.error, run.line, run.id)

        def work(it: Connection) -> None:
            keep(it, last)
            _do(it, "UPDATE scenario_runs SET ended = ?, outcome = ?, error = ?, line = ? WHERE id = ?", row)

        await self._write(work)

    def open(self) -> list[Open]:
        """Runs that have not ended, the oldest first."""
        sql = f"SELECT {_SUMMARY}, given, is_stopping, is_cut FROM scenario_runs WHERE ended IS NULL ORDER BY place"  # noqa: S608 - our own words
        return [
            Open(
                _summary(row[:8]),
                codec.decode_json(row[8], Given, what="stored run"),
                bool(row[9]),
                bool(row[10]),
            )
            for row in self._database.read(sql)
        ]

    def runs(self, scenario: str | None, limit: int) -> list[RunSummary]:
        """The newest first."""
        where, parameters = ("WHERE scenario = ?", [scenario]) if scenario is not None else ("", [])
        sql = f"SELECT {_SUMMARY} FROM scenario_runs {where} ORDER BY place DESC LIMIT ?"  # noqa: S608 - our own words
        return [_summary(row) for row in self._database.read(sql, (*parameters, limit))]

    def trace(self, run: str) -> RunTrace:
        """Raises `NoSuchRunError`."""
        sql = f"SELECT {_SUMMARY}, is_cut OR lacks_steps FROM scenario_runs WHERE id = ?"  # noqa: S608 - our own words
        rows = self._database.read(sql, (run,))
        if not rows:
            raise NoSuchRunError(
                f"There is no run `{run[:64]}`; the last {MAX_RUNS} of each scenario are kept."
            )
        steps = self.steps(run)
        is_cut = bool(rows[0][8]) or len(steps) > MAX_STEPS
        return RunTrace(
            run=_summary(rows[0][:8]), steps=[one.shown() for one in steps[-MAX_STEPS:]], is_cut=is_cut
        )

    def steps(self, run: str) -> list[Kept]:
        """All that are kept, in order."""
        sql = f"SELECT {_STEP} FROM scenario_steps WHERE run = ? ORDER BY place"  # noqa: S608 - our own words
        return [Kept(*row) for row in self._database.read(sql, (run,))]

    async def keep(self, batch: Batch, *more: Work) -> None:
        """Steps, and whatever is to be on disk with them or not at all."""

        def work(it: Connection) -> None:
            keep(it, batch)
            for one in more:
                one(it)

        await self._write(work)

    # ---- variables

    def variables(self, scenario: str) -> dict[str, Plain]:
        """By name."""
        sql = "SELECT name, value FROM scenario_variables WHERE scenario = ? ORDER BY name"
        decode = msgspec.json.Decoder(Plain).decode
        return {name: decode(value) for name, value in self._database.read(sql, (scenario,))}

    async def set_variable(self, scenario: str, name: str, value: Plain | None) -> None:
        await self._write(setting(scenario, name, value))

    async def _write(self, work: Work) -> None:
        """Raises `UnavailableError` when the disk does not take it."""
        await self._database.write(work)


def _remembered(name: str, watch: bytes | None) -> WatchState | None:
    try:
        return codec.decode_json(watch, WatchState, what="stored trigger") if watch else None
    except WayhouseError as error:
        log.error("scenario %s: %s. It begins anew.", name, error)  # noqa: TRY400 - said well enough
        return None


def setting(scenario: str, name: str, value: Plain | None) -> Work:
    """A variable; None takes it away."""

    def work(it: Connection) -> None:
        if value is None:
            _do(it, "DELETE FROM scenario_variables WHERE scenario = ? AND name = ?", (scenario, name))
        else:
            row = (scenario, name, codec.encode_json(value))
            _do(it, "INSERT OR REPLACE INTO scenario_variables VALUES (?, ?, ?)", row)

    return work


def putting_off(name: str, cause: str, state: WatchState | None = None) -> Work:
    """A run of `name` that is to come."""

    def work(it: Connection) -> None:
        sql = "UPDATE scenarios SET waiting_cause = coalesce(waiting_cause, ?) WHERE name = ?"
        _do(it, sql, (cause, name))
        if state is not None:
            _do(it, "UPDATE scenarios SET watch = ? WHERE name = ?", (codec.encode_json(state), name))

    return work


def keep(it: Connection, batch: Batch) -> None:
    it.executemany(
        "INSERT OR REPLACE INTO scenario_steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(batch.run, *step) for step in batch.steps],
    )
    if batch.gone:
        rows = [(batch.run, place) for place in batch.gone]
        it.executemany("DELETE FROM scenario_steps WHERE run = ? AND place = ?", rows)
    if batch.is_cut or batch.lacks_steps:
        sql = "UPDATE scenario_runs SET is_cut = is_cut OR ?, lacks_steps = lacks_steps OR ? WHERE id = ?"
        _do(it, sql, (batch.is_cut, batch.lacks_steps, batch.run))


def _insert_run(it: Connection, run: RunSummary, given: Given) -> None:
    row = (
        run.id, run.scenario, run.cause, run.started, run.ended, run.outcome.value, run.error, run.line,
        codec.encode_json(given),
    )  # fmt: skip
    _do(it, f"INSERT INTO scenario_runs ({_SUMMARY}, given) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - our own words


def _tidy(it: Connection, scenario: str) -> None:
    """Old runs go, and most steps of the one that has just become old. A run that has not ended stays."""
    old = "SELECT id FROM scenario_runs WHERE scenario = ? AND ended IS NOT NULL ORDER BY place DESC LIMIT {} OFFSET {}"
    _do(it, f"DELETE FROM scenario_runs WHERE id IN ({old.format(-1, MAX_RUNS - 1)})", (scenario,))  # noqa: S608 - our own words
    for (run,) in it.execute(old.format(1, WHOLE_RUNS - 1), (scenario,)).fetchall():
        if _do(it, _THIN_OUT, (run, FEW_STEPS)):
            _do(it, "UPDATE scenario_runs SET lacks_steps = 1 WHERE id = ?", (run,))


def _do(it: Connection, sql: str, parameters: Iterable[Any]) -> int:
    return it.execute(sql, tuple(parameters)).rowcount


def _done(it: Connection, sql: str, parameters: Iterable[Any]) -> None:
    it.execute(sql, tuple(parameters))


def _summary(row: Row) -> RunSummary:
    run, scenario, cause, started, ended, outcome, error, line = row
    return RunSummary(
        id=run, scenario=scenario, cause=cause, started=started, ended=ended,
        outcome=Outcome(outcome), error=error, line=line,
    )  # fmt: skip
