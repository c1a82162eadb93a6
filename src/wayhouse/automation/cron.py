"""Which job is due when: a machine. It is told both clocks (`Now`), and says when to look again on the monotonic one.

Driven by `cron_service`. Rules (docs/decisions/0016-time.md): no time is given out twice, also when the wall clock is set back by less
than `BACK_S`; what it is set back by more was a wrong clock. What passed unseen goes by the job's own catch-up policy.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import msgspec

from wayhouse.automation.model import (
    CatchUp,
    Job,
    JobExistsError,
    JobMissed,
    NoSuchJobError,
    Place,
    Record,
    Run,
    names,
)
from wayhouse.automation.occurrence import last_until, next_after
from wayhouse.automation.schedule import AtBoot, Every, Schedule, parse
from wayhouse.automation.timetable import Timetable

GRACE_S = 60.0
"""A run that is later than this was missed; before, it is only late."""
BACK_S = 3 * 3600.0
SLEW_S = 0.001
"""By how much the clocks may drift apart before every job is planned anew."""
MAX_BEFORE = 4
"""So many settings back are remembered of each job: of a clock that is wrong at each boot, the latest times count."""
_HALF_S = 0.5
"""Occurrences are whole seconds: this much before one is after the one before."""


class Now(NamedTuple):
    """One moment on both clocks, in seconds."""

    monotonic: float
    wall: float


class _Entry:
    """A job as planned: `due` on the monotonic clock, `planned` on the wall clock; None: never. `number`: its place among the jobs."""

    def __init__(self, number: int, job: Job, schedule: Schedule, record: Record) -> None:
        self.number = number
        self.job = job
        self.schedule = schedule
        self.record = record
        self.planned: float | None = None
        self.due = math.inf


class Cron:
    def __init__(self, place: Place, boot: str = "") -> None:
        """`boot` names the present boot of the machine, for `@reboot`."""
        self._place = place
        self._boot = boot
        self._entries: dict[str, _Entry] = {}
        self._timetable = Timetable[_Entry](lambda one: self._entries.get(one.job.name) is one)
        self._numbers = itertools.count()
        self._events: list[Run | JobMissed] = []
        self._unsaved: set[str] = set()
        self._ahead: float | None = None
        self._planned_with: float | None = None

    @property
    def jobs(self) -> list[Job]:
        return [entry.job for entry in self._entries.values()]

    def add(self, job: Job, now: Now, record: Record | None = None) -> Record:
        """Plan a new job, or one from before a restart with its record; what it missed shows in the next `tick`.

        Raises `BadScheduleError`, `JobExistsError`.
        """
        if job.name in self._entries:
            raise JobExistsError(
                f"There is a job `{job.name}` already. Remove it first or take another name."
            )
        record = record or Record(since=now.wall, boot=self._boot)
        if record.since > now.wall + BACK_S:
            record = _set_back(record, now.wall)
        else:
            record = _returned(record, now.wall)
        entry = _Entry(next(self._numbers), job, parse(job.schedule), record)
        self._plan(entry, now)
        self._entries[job.name] = entry
        self._timetable.line_up(entry)
        return record

    def replace(self, name: str, job: Job, now: Now) -> Record:
        """Another job in place of `name`, if wanted under another name. A new schedule counts from now on; with the old one it goes
        on as it was. Raises `BadScheduleError`, `JobExistsError`, `NoSuchJobError`."""
        before = self._entry(name)
        if job.name != name and job.name in self._entries:
            raise JobExistsError(f"There is a job `{job.name}` already. Take another name.")
        schedule = parse(job.schedule)
        if schedule == before.schedule and job.is_paused == before.job.is_paused:
            entry = _Entry(before.number, job, schedule, before.record)
            entry.planned, entry.due = before.planned, before.due
        else:
            entry = self._afresh(before, job, schedule, now)
        self._entries = {
            job.name if key == name else key: entry if key == name else one
            for key, one in self._entries.items()
        }
        self._timetable.line_up(entry)
        self._unsaved.discard(name)
        return entry.record

    def ask(self, name: str, now: Now) -> None:
        """Run it now, also if it is paused; its own times stay as they are. Raises `NoSuchJobError`."""
        entry = self._entry(name)
        self._events.append(Run(name=name, due=now.wall))
        self._note(entry, since=entry.record.since, last=now.wall)

    def remove(self, name: str) -> None:
        """Raises `NoSuchJobError`."""
        self._entry(name)
        del self._entries[name]
        self._unsaved.discard(name)

    def pause(self, name: str) -> Job:
        """Raises `NoSuchJobError`."""
        entry = self._entry(name)
        entry.job = msgspec.structs.replace(entry.job, is_paused=True)
        entry.due, entry.planned = math.inf, None
        return entry.job

    def resume(self, name: str, now: Now) -> Job:
        """From now on; the times of the pause are not caught up. Raises `NoSuchJobError`, `BadScheduleError`."""
        entry = self._entry(name)
        if entry.job.is_paused:
            job = msgspec.structs.replace(entry.job, is_paused=False)
            self._entries[name] = self._afresh(entry, job, entry.schedule, now)
            self._timetable.line_up(self._entries[name])
        return self._entries[name].job

    def job(self, name: str) -> Job:
        """Raises `NoSuchJobError`."""
        return self._entry(name).job

    def record(self, name: str) -> Record:
        """Raises `NoSuchJobError`."""
        return self._entry(name).record

    def next_run(self, name: str) -> float | None:
        """In Unix seconds; None: never, or paused. Raises `NoSuchJobError`."""
        return self._entry(name).planned

    def deadline(self) -> float:
        """When to `tick` next, on the monotonic clock; `inf`: nothing is planned."""
        return self._timetable.first()

    def tick(self, now: Now) -> None:
        """Decide what is due, and plan anew by what the wall clock says now."""
        ahead = now.wall - now.monotonic
        moved = 0.0 if self._ahead is None else ahead - self._ahead
        self._ahead = ahead
        looking = self._to_look_at(ahead, now)
        try:
            for entry in looking:
                if not isinstance(entry.schedule, Every | AtBoot):
                    self._reckon(entry, moved, now)
                if not entry.job.is_paused:
                    self._look(entry, now)
        finally:
            for entry in looking:
                self._timetable.line_up(entry)

    def events(self) -> list[Run | JobMissed]:
        """What was decided since the last call, in order."""
        found, self._events = self._events, []
        return found

    def unsaved(self) -> dict[str, Record]:
        """The records that changed since the last call."""
        found = {name: self._entries[name].record for name in sorted(self._unsaved)}
        self._unsaved.clear()
        return found

    def _to_look_at(self, ahead: float, now: Now) -> list[_Entry]:
        """Those that are due, or all when the wall clock has been set or slewed."""
        if self._planned_with is not None and abs(ahead - self._planned_with) < SLEW_S:
            return self._timetable.due(now.monotonic)
        self._planned_with = ahead
        self._timetable.clear()
        return list(self._entries.values())

    def _reckon(self, entry: _Entry, moved: float, now: Now) -> None:
        """By how much the wall clock was set says whether it was wrong before, or is right again."""
        record = entry.record
        if moved < -BACK_S:
            record = _set_back(record, now.wall)
        elif moved > GRACE_S:
            record = _returned(record, now.wall)
        if record is not entry.record:
            entry.record = record
            self._unsaved.add(entry.job.name)
            self._plan(entry, now)

    def _look(self, entry: _Entry, now: Now) -> None:
        if isinstance(entry.schedule, Every):
            self._look_at_period(entry, entry.schedule.period_s, now)
        elif isinstance(entry.schedule, AtBoot):
            if entry.record.boot != self._boot:
                self._run(entry, now.wall, is_catch_up=False)
        elif entry.planned is not None and entry.planned <= now.wall:
            self._come(entry, entry.planned, now)
        elif entry.planned is not None:
            entry.due = now.monotonic + entry.planned - now.wall
        if isinstance(entry.schedule, AtBoot):
            entry.due, entry.planned = math.inf, None

    def _plan(self, entry: _Entry, now: Now) -> None:
        """From its record: when it is due next, or that it is overdue."""
        schedule = entry.schedule
        entry.planned, entry.due = None, math.inf
        planned = next_after(schedule, entry.record.since, self._place)
        if isinstance(schedule, Every):
            planned = min(entry.record.since, now.wall) + schedule.period_s
        elif isinstance(schedule, AtBoot) and entry.record.boot != self._boot:
            planned = now.wall
        if not entry.job.is_paused:
            self._await(entry, planned, now)

    def _afresh(self, before: _Entry, job: Job, schedule: Schedule, now: Now) -> _Entry:
        """Another in the place of `before`, planned from now on."""
        record = msgspec.structs.replace(before.record, since=now.wall, boot=self._boot)
        entry = _Entry(before.number, job, schedule, record)
        self._plan(entry, now)
        return entry

    def _await(self, entry: _Entry, planned: float | None, now: Now) -> None:
        entry.planned = planned
        entry.due = math.inf if planned is None else now.monotonic + planned - now.wall

    def _look_at_period(self, entry: _Entry, period_s: int, now: Now) -> None:
        """Periods are counted on the monotonic clock alone; one that is overdue keeps its beat."""
        late = now.monotonic - entry.due
        if late >= 0:
            due = now.wall - late
            last = due + late // period_s * period_s
            is_missed = now.wall - last > GRACE_S
            if is_missed and entry.job.catch_up is CatchUp.NONE:
                self._miss(entry, due, last)
            else:
                self._run(entry, last, is_catch_up=is_missed)
            entry.due += (late // period_s + 1) * period_s
        entry.planned = now.wall + entry.due - now.monotonic

    def _come(self, entry: _Entry, first: float, now: Now) -> None:
        """The time `first` has come, as a rule alone."""
        following = next_after(entry.schedule, first, self._place)
        if following is not None and following <= now.wall:
            self._pass(entry, first, now)
            self._plan(entry, now)
            return
        is_late = now.wall - first > GRACE_S
        if is_late and entry.job.catch_up is CatchUp.NONE:
            self._miss(entry, first, first)
        else:
            self._run(entry, first, is_catch_up=is_late)
        self._await(entry, following, now)

    def _pass(self, entry: _Entry, first: float, now: Now) -> None:
        """Times from `first` to now have come: run some, report the rest as missed."""
        since = entry.record.since
        due = self._times(entry, now.wall, since)
        last = due[-1]
        if entry.job.catch_up is CatchUp.NONE:
            due = [one for one in due if now.wall - one <= GRACE_S]
        missed = last if not due else last_until(entry.schedule, due[0] - _HALF_S, since, self._place)
        if missed is not None:
            self._miss(entry, first, missed)
        for one in due:
            self._run(entry, one, is_catch_up=now.wall - one > GRACE_S)

    def _times(self, entry: _Entry, until: float, since: float) -> list[float]:
        """The last of the times that have come, in order: as many as the policy lets run, one at least."""
        many = entry.job.limit if entry.job.catch_up is CatchUp.ALL else 1
        found = list[float]()
        while (
            len(found) < many and (last := last_until(entry.schedule, until, since, self._place)) is not None
        ):
            found.append(last)
            until = last - _HALF_S
        return found[::-1]

    def _run(self, entry: _Entry, due: float, *, is_catch_up: bool) -> None:
        self._events.append(Run(name=entry.job.name, due=due, is_catch_up=is_catch_up))
        self._note(entry, since=due, last=due)

    def _miss(self, entry: _Entry, first: float, last: float) -> None:
        self._events.append(JobMissed(entry.job.name, first, last))
        self._note(entry, since=last)

    def _note(self, entry: _Entry, *, since: float, last: float | None = None) -> None:
        kept = entry.record.last if last is None else last
        entry.record = Record(since=since, last=kept, boot=self._boot, before=entry.record.before)
        self._unsaved.add(entry.job.name)

    def _entry(self, name: str) -> _Entry:
        try:
            return self._entries[name]
        except KeyError:
            raise NoSuchJobError(
                f"There is no job `{name[:64]}`. Known are: {names(list(self._entries))}."
            ) from None


def _set_back(record: Record, wall: float) -> Record:
    """Its times are planned from what the clock says now; those that are done with are so still once it says that again."""
    before = tuple(sorted({*record.before, record.since})[-MAX_BEFORE:])
    return msgspec.structs.replace(record, since=wall, before=before)


def _returned(record: Record, wall: float) -> Record:
    """The clock says a time again that was done with before it was set back, if there was any. What was later was a wrong clock's."""
    known = [one for one in record.before if record.since < one <= wall]
    if not known:
        return record
    ahead = tuple(one for one in record.before if one > wall)
    return msgspec.structs.replace(record, since=known[-1], before=ahead)
