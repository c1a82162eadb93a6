"""What one active scenario waits for: its entries, its `when`, its schedules. A machine, driven by `scenario_service` and `rehearsal`.

Rules: without `when` and `schedules` it fires when an entry changes; times that passed while the gateway was away are not caught up; a job
(`cron:`) is an event and not a value, so each time it is told counts as a change.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

from wayhouse.automation.asks import show
from wayhouse.automation.condition import Above, Below, Changed, Condition, Equals, For
from wayhouse.automation.cron import Cron, Now
from wayhouse.automation.model import Job, JobMissed, Place, Record, Value
from wayhouse.automation.runs import Wait
from wayhouse.automation.scenario import Scenario
from wayhouse.automation.trigger import Fired, Trigger, TriggerState

JOB = "cron:"
PATIENCE_S = 60.0
"""So long after a restart a source that a wait goes by may take to say something; then it has nothing to say."""
_ANY = "*"


class WatchState(msgspec.Struct, frozen=True):
    """All that it remembers. `last`: values of entries, without `when`; `records`: of its schedules; `wall`: when that was."""

    trigger: TriggerState | None
    last: dict[str, Value]
    records: dict[str, Record]
    wall: float


class Fire(NamedTuple):
    """It is to run."""

    cause: str


class Kept(NamedTuple):
    """It would be to run, but has as often as `at_most` allows."""

    cause: str
    retry_after_s: float


class Missed(NamedTuple):
    """Times of a schedule passed without a run."""

    schedule: str
    first: float
    last: float


class Watch:
    """Raises `BadInputError` for what cannot be watched here, such as the sun at a place that is not known."""

    def __init__(
        self, scenario: Scenario, place: Place, boot: str, now: Now, state: WatchState | None = None
    ) -> None:
        self._names: dict[str, list[str]] = {}
        for name, source in scenario.entries.items():
            self._names.setdefault(source, []).append(name)
        self._schedules = scenario.schedules
        self._when = scenario.when
        self._is_any = scenario.when is None and not scenario.schedules and bool(scenario.entries)
        self._trigger = self._make_trigger(scenario)
        self._last: dict[str, Value] = {}
        self._count = 0
        self._events: list[Fire | Kept | Missed] = []
        self._cron = Cron(place, boot)
        self._add_schedules(now, state)
        self._unheard: set[str] = set()
        self._patience = now.monotonic + PATIENCE_S
        self._restore(state, now)
        is_new = any(state is None or line not in state.records for line in self._schedules)
        self._saved: object = None if is_new else self._memory()

    @property
    def sources(self) -> list[str]:
        return list(self._names)

    @property
    def next_run(self) -> float | None:
        """By its schedules; Unix seconds."""
        planned = (self._cron.next_run(job.name) for job in self._cron.jobs)
        return min((one for one in planned if one is not None), default=None)

    def receive(self, source: str, value: Value, now: Now) -> bool:
        """Whether there is anything to do: events, or a state to save."""
        if self._trigger is None or (value is None and source in self._unheard):
            return False
        self._unheard.discard(source)
        for name in self._names.get(source, ()):
            if self._is_any:
                self._receive_any(self._trigger, name, value, now, is_event=source.startswith(JOB))
            else:
                self._trigger.receive(name, value, now.monotonic)
                self._gather(self._trigger)
        return bool(self._events) or self._memory() != self._saved

    def tick(self, now: Now) -> None:
        if self._unheard and now.monotonic >= self._patience:
            away, self._unheard = self._unheard, set()
            for source in away:
                self.receive(source, None, now)
        if self._trigger is not None and not self._unheard:
            self._trigger.tick(now.monotonic)
            self._gather(self._trigger)
        self._cron.tick(now)
        for one in self._cron.events():
            line = self._schedules[int(one.name)]
            missed = isinstance(one, JobMissed)
            self._events.append(Missed(line, one.first, one.last) if missed else Fire(f"schedule {line}"))  # type: ignore[union-attr]

    def deadline(self) -> float:
        """When to `tick` next, on the monotonic clock."""
        if self._unheard:
            return min(self._patience, self._cron.deadline())
        return min(math.inf if self._trigger is None else self._trigger.deadline(), self._cron.deadline())

    def events(self) -> list[Fire | Kept | Missed]:
        """What was decided since the last call, in order."""
        found, self._events = self._events, []
        return found

    def unsaved(self, now: Now) -> WatchState | None:
        """What to save; None: nothing has changed since the last call."""
        memory = self._memory()
        if memory == self._saved:
            return None
        self._saved = memory
        return self.state(now)

    def not_saved(self) -> None:
        """What `unsaved` answered is not on disk."""
        self._saved = None

    def state(self, now: Now) -> WatchState:
        trigger = None if self._trigger is None else self._trigger.state(now.monotonic)
        records = {line: self._cron.record(str(place)) for place, line in enumerate(self._schedules)}
        return WatchState(trigger, dict(self._last), records, now.wall)

    def waits(self, now: Now) -> list[Wait]:
        """What has been true for some time and must stay so."""
        if self._trigger is None or self._when is None:
            return []
        held = self._trigger.state(now.monotonic).held
        found = []
        for path, one in self._trigger.nodes:
            if isinstance(one, For) and path in held and held[path] < one.seconds:
                text = f"{describe(one.of)} for {one.seconds:g} s"
                found.append(Wait(text, now.wall + one.seconds - held[path]))
        return found

    def _make_trigger(self, scenario: Scenario) -> Trigger | None:
        if self._is_any:
            return Trigger(Changed(_ANY), scenario.at_most)
        return None if scenario.when is None else Trigger(scenario.when, scenario.at_most)

    def _add_schedules(self, now: Now, state: WatchState | None) -> None:
        records = {} if state is None else state.records
        for place, line in enumerate(self._schedules):
            self._cron.add(Job(name=str(place), schedule=line), now, records.get(line))

    def _restore(self, state: WatchState | None, now: Now) -> None:
        if self._trigger is None:
            return
        values: dict[str, Value] = {}
        if state is not None and state.trigger is not None:
            self._trigger.restore(state.trigger, now.monotonic, now.wall - state.wall)
            self._last = {
                name: one
                for name, one in state.last.items()
                if any(name in all_ for all_ in self._names.values())
            }
            values = state.trigger.values
            self._unheard = {
                source
                for source, names in self._names.items()
                if state.trigger.held
                and not source.startswith(JOB)
                and any(values.get(one) is not None for one in names)
            }
        if self._is_any:
            count = values.get(_ANY)
            self._count = int(count) if isinstance(count, int | float) else 0
            if count is None:
                self._trigger.receive(_ANY, self._count, now.monotonic)
        for source, names in self._names.items():
            for name in names:
                if source.startswith(JOB) and values.get(name) is None and not self._is_any:
                    self._trigger.receive(name, 0.0, now.monotonic)

    def _receive_any(self, trigger: Trigger, name: str, value: Value, now: Now, *, is_event: bool) -> None:
        before, self._last[name] = self._last.get(name), value
        is_same = isinstance(before, bool) == isinstance(value, bool) and before == value
        if is_event or not (before is None or value is None or is_same):
            self._count = (self._count + 1) % 2**53
            trigger.receive(_ANY, self._count, now.monotonic)
            self._gather(trigger, name)

    def _gather(self, trigger: Trigger, name: str | None = None) -> None:
        for one in trigger.events():
            source = name or one.source
            cause = "wait" if source is None else f"entry {source}"
            self._events.append(Fire(cause) if isinstance(one, Fired) else Kept(cause, one.retry_after_s))

    def _memory(self) -> object:
        trigger = None if self._trigger is None else self._trigger.memory
        return trigger, [self._cron.record(job.name) for job in self._cron.jobs]


def describe(condition: Condition) -> str:
    """For people: such as `temperature above 20`."""
    match condition:
        case Above() | Below():
            return f"{condition.source} {'above' if isinstance(condition, Above) else 'below'} {condition.value:g}"
        case Equals():
            return f"{condition.source} equals {show(condition.value)}"
        case Changed():
            return f"{condition.source} changed"
        case For():
            return f"({describe(condition.of)} for {condition.seconds:g} s)"
        case _:
            inner = condition.of if isinstance(condition.of, tuple) else (condition.of,)
            return f"{condition.__struct_config__.tag} of ({', '.join(describe(one) for one in inner)})"
