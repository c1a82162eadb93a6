"""Days of cron in microseconds: both clocks are numbers here."""

from __future__ import annotations

import itertools
import math
import zoneinfo
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import astral
import astral.sun
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts import clock_reader
from wayhouse.automation.cron import BACK_S, GRACE_S, Cron, Now
from wayhouse.automation.model import (
    BadScheduleError,
    CatchUp,
    Job,
    JobExistsError,
    JobMissed,
    NoSuchJobError,
    Place,
    Record,
    Run,
)

START = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0


class World:
    """A cron and its two clocks; `go` sleeps from deadline to deadline, as the service does."""

    def __init__(self, place: Place | None = None, boot: str = "one", wall: float = START) -> None:
        self.monotonic, self.wall = 1000.0, wall
        self.cron = Cron(place or Place(), boot)
        self.cron.tick(self.now)
        self.found: list[Run | JobMissed] = []

    @property
    def now(self) -> Now:
        return Now(self.monotonic, self.wall)

    def add(
        self, schedule: str, catch_up: CatchUp = CatchUp.NONE, record: Record | None = None, limit: int = 10
    ) -> None:
        self.cron.add(Job(name="job", schedule=schedule, catch_up=catch_up, limit=limit), self.now, record)

    def pass_by(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds

    def go(self, seconds: float) -> list[float]:
        """When runs were due, in seconds after `START`."""
        end = self.monotonic + seconds
        while True:
            self.cron.tick(self.now)
            step = min(self.cron.deadline(), end) - self.monotonic
            if step <= 0:
                break
            self.pass_by(step)
        return self.runs()

    def runs(self) -> list[float]:
        events = self.cron.events()
        self.found += events
        return [event.due - START for event in events if isinstance(event, Run)]


def test_a_day_of_an_hourly_job() -> None:
    world = World()
    world.add("@hourly")
    assert world.go(24 * HOUR) == [HOUR * number for number in range(1, 25)]
    assert not any(isinstance(event, JobMissed) for event in world.found)
    assert world.cron.record("job") == Record(since=START + 24 * HOUR, last=START + 24 * HOUR, boot="one")
    assert list(world.cron.unsaved()) == ["job"]
    assert not world.cron.unsaved()


def test_periods_go_by_the_monotonic_clock() -> None:
    world = World()
    world.add("@every 90s")
    assert world.go(200) == [90, 180]
    world.wall += 10 * HOUR
    assert len(world.go(90)) == 1
    world.wall -= 100 * HOUR
    assert len(world.go(90)) == 1
    assert world.cron.deadline() == 1000 + 450


def test_a_stalled_period_keeps_its_beat() -> None:
    world = World()
    world.add("@every 10s")
    world.pass_by(35)
    assert world.go(0) == [30]
    assert world.go(10) == [40]


def test_a_jump_ahead_plans_anew() -> None:
    world = World()
    world.add("0 * * * *")
    world.wall += 1800
    assert world.go(1800) == [HOUR]
    assert world.monotonic == 2800


@pytest.mark.parametrize(
    ("catch_up", "runs", "missed"),
    [
        (CatchUp.NONE, [], (HOUR, 5 * HOUR)),
        (CatchUp.ONCE, [5 * HOUR], (HOUR, 4 * HOUR)),
        (CatchUp.ALL, [3 * HOUR, 4 * HOUR, 5 * HOUR], (HOUR, 2 * HOUR)),
    ],
)
def test_what_was_jumped_over_goes_by_the_policy(
    catch_up: CatchUp, runs: list[float], missed: tuple[float, float]
) -> None:
    world = World()
    world.add("@hourly", catch_up, limit=3)
    world.wall += 5.5 * HOUR
    assert world.go(0) == runs
    assert world.found[0] == JobMissed("job", START + missed[0], START + missed[1])
    assert all(event.is_catch_up for event in world.found[1:] if isinstance(event, Run))
    assert world.go(HOUR / 2) == [6 * HOUR]


@pytest.mark.parametrize("catch_up", list(CatchUp))
def test_a_restart_is_the_same(catch_up: CatchUp) -> None:
    world = World()
    world.wall += 5.5 * HOUR
    world.add("@hourly", catch_up, Record(since=START, boot="one"))
    expected = {CatchUp.NONE: [], CatchUp.ONCE: [5], CatchUp.ALL: [1, 2, 3, 4, 5]}[catch_up]
    assert world.go(0) == [hour * HOUR for hour in expected]


def test_a_short_stop_is_only_late() -> None:
    world = World()
    world.wall += HOUR + GRACE_S - 1
    world.add("@hourly", CatchUp.NONE, Record(since=START))
    assert world.go(0) == [HOUR]
    assert world.found == [Run(name="job", due=START + HOUR)]


def test_a_small_step_back_repeats_nothing() -> None:
    world = World()
    world.add("@hourly")
    assert world.go(HOUR) == [HOUR]
    world.wall -= 600
    assert world.go(HOUR) == []
    assert world.go(600) == [2 * HOUR]


def test_a_large_step_back_means_the_clock_was_wrong() -> None:
    world = World()
    world.add("@hourly")
    world.wall += 1000 * 24 * HOUR
    world.go(HOUR)
    world.wall -= 1000 * 24 * HOUR
    assert world.go(HOUR) == [2 * HOUR]
    fresh = World()
    fresh.add("@hourly", record=Record(since=START + BACK_S + 1))
    assert fresh.go(HOUR) == [HOUR]


def test_decades_missed_take_no_time() -> None:
    world = World()
    world.add("* * * * * *", CatchUp.ALL, limit=100)
    world.wall += 50 * 365 * 86400.0
    assert len(world.go(0)) == 100


def test_reboot_runs_once_for_each_boot() -> None:
    world = World(boot="two")
    world.add("@reboot", record=Record(since=START - 1, boot="one"))
    assert world.go(1) == [0]
    assert world.go(HOUR) == []
    assert world.cron.deadline() == math.inf
    again = World(boot="two")
    again.add("@reboot", record=world.cron.record("job"))
    assert again.go(HOUR) == []
    fresh = World()
    fresh.add("@reboot")
    assert fresh.go(HOUR) == []


@pytest.mark.parametrize("catch_up", list(CatchUp))
def test_a_period_after_a_restart(catch_up: CatchUp) -> None:
    world = World()
    world.add("@every 1h", catch_up, Record(since=START - 2.5 * HOUR, last=START - 2.5 * HOUR))
    assert world.go(0) == ([] if catch_up is CatchUp.NONE else [-0.5 * HOUR])
    assert world.go(HOUR) == [0.5 * HOUR]


def test_pause_and_resume() -> None:
    world = World()
    world.add("@hourly", CatchUp.ALL)
    world.cron.pause("job")
    assert world.cron.next_run("job") is None
    assert world.go(3 * HOUR) == []
    assert not world.cron.resume("job", world.now).is_paused
    assert world.cron.next_run("job") == START + 4 * HOUR
    assert world.go(HOUR) == [4 * HOUR]


def test_jobs_by_name() -> None:
    world = World()
    world.add("@hourly")
    with pytest.raises(JobExistsError):
        world.add("@daily")
    world.cron.remove("job")
    for act in (world.cron.remove, world.cron.pause, world.cron.record, world.cron.next_run, world.cron.job):
        with pytest.raises(NoSuchJobError, match="none"):
            act("job")
    assert world.cron.deadline() == math.inf
    for line in ("never", "@sunrise"):
        with pytest.raises(BadScheduleError):
            world.add(line)
    assert not world.cron.jobs


def test_by_the_sun() -> None:
    world = World(Place("Europe/Berlin", 52.52, 13.405))
    world.add("@sunset")
    runs = world.go(7 * 24 * HOUR)
    assert len(runs) == 7
    assert all(86400 < later - earlier < 86400 + 180 for earlier, later in itertools.pairwise(runs))


LINES = st.sampled_from(["@hourly", "*/7 * * * *", "30 2 * * *", "@every 11m", "0 */3 * * *"])


@settings(max_examples=60, deadline=None)
@given(
    LINES,
    st.sampled_from(list(CatchUp)),
    st.lists(st.tuples(st.floats(0, 20_000), st.floats(-9_000, 50_000)), max_size=8),
)
def test_whatever_the_clock_does_no_time_is_run_twice(
    line: str, catch_up: CatchUp, steps: list[tuple[float, float]]
) -> None:
    world = World(Place("Europe/Berlin"))
    world.add(line, catch_up)
    runs: list[float] = []
    for passes, jump in steps:
        runs += world.go(passes)
        world.wall += jump
    runs += world.go(0)
    if not line.startswith("@every"):
        assert runs == sorted(set(runs))
    assert world.cron.deadline() > world.monotonic


@pytest.mark.parametrize("catch_up", CatchUp)
def test_a_machine_that_boots_in_1970_runs_nothing_twice(catch_up: CatchUp) -> None:
    """Without a clock of its own it learns the time from the network, some time after the gateway has started."""
    world = World(wall=60.0)
    world.add("0 * * * *", catch_up, Record(since=START, last=START))
    assert world.go(30) == []
    world.wall = START + 600
    assert world.go(0) == []
    assert world.go(HOUR) == [HOUR]
    assert not any(isinstance(event, JobMissed) for event in world.found)


def test_a_machine_that_boots_in_1970_twice_catches_up_once() -> None:
    world = World(wall=60.0)
    world.add("0 * * * *", CatchUp.ALL, Record(since=START, last=START))
    assert len(world.go(2 * HOUR)) == 2, "until the time is known, 1970 is what clocks show"
    kept = world.cron.record("job")
    world = World(wall=60.0)
    world.add("0 * * * *", CatchUp.ALL, kept)
    world.go(30)
    world.wall = START + 3 * HOUR
    assert world.go(0) == [HOUR, 2 * HOUR, 3 * HOUR]
    kept = world.cron.record("job")
    world = World(wall=START + 4 * HOUR)
    world.add("0 * * * *", CatchUp.ALL, kept)
    assert world.go(0) == [4 * HOUR]


def test_a_clock_that_goes_back_a_day_and_returns_runs_nothing_twice() -> None:
    world = World()
    world.add("0 * * * *", CatchUp.ALL)
    assert world.go(2 * HOUR) == [HOUR, 2 * HOUR]
    world.wall -= 24 * HOUR
    assert world.go(600) == []
    world.wall += 24 * HOUR
    assert world.go(HOUR) == [3 * HOUR]
    assert not any(isinstance(event, JobMissed) for event in world.found)


def test_the_time_that_was_learned_before_a_restart_counts() -> None:
    world = World(wall=60.0)
    world.add("0 * * * *", CatchUp.ALL, Record(since=START, last=START))
    world.go(HOUR)
    kept = world.cron.record("job")
    world = World(wall=START + HOUR)
    world.add("0 * * * *", CatchUp.ALL, kept)
    assert world.go(0) == [HOUR]


def test_a_clock_that_was_wrong_both_ways_is_believed_when_it_is_right() -> None:
    world = World(wall=START + 12 * 365 * 24 * HOUR)
    world.add("0 * * * *", CatchUp.ALL)
    world.wall = START
    assert world.go(2 * HOUR) == [HOUR, 2 * HOUR]
    kept = world.cron.record("job")
    for _ in range(8):
        world = World(wall=60.0)
        world.add("0 * * * *", CatchUp.ALL, kept)
        world.go(5 * HOUR)
        kept = world.cron.record("job")
    assert len(kept.before) <= 4
    world.wall = START + 3 * HOUR
    assert world.go(0) == [3 * HOUR]


YEAR = 2024
"""A leap year."""
DAY = 86400.0
JUMP = datetime(YEAR, 6, 10, 12, 30, 30, tzinfo=UTC).timestamp()
"""Where the wall clock goes a day ahead, and a quarter of a year later a day back."""
BACK = datetime(YEAR, 9, 10, 12, 30, 30, tzinfo=UTC).timestamp()
PLACES = {
    "Europe/Berlin": Place("Europe/Berlin", 52.52, 13.405),
    "America/New_York": Place("America/New_York", 40.71, -74.01),
}
LINES_OF_A_YEAR = {
    "30 2 * * *": (366, lambda now: (now.hour, now.minute) == (2, 30)),
    "0 2,14 * * *": (366 * 2, lambda now: now.minute == 0 and now.hour in {2, 14}),
    "15,30 1-3 * * SUN": (
        52 * 6 - 1,  # of the two that the gap skips one is left, and what is shown twice counts once
        lambda now: now.weekday() == 6 and now.hour in {1, 2, 3} and now.minute in {15, 30},
    ),
    "45 7 29 2 *": (1, lambda now: (now.month, now.day, now.hour, now.minute) == (2, 29, 7, 45)),
}
"""Each with how often it is due in the year, and what it means."""


def begin(zone: str, year: int) -> float:
    return datetime(year, 1, 1, tzinfo=zoneinfo.ZoneInfo(zone)).timestamp()


def sun_of_the_year(place: Place, kind: str, start: float, end: float) -> list[float]:
    assert place.latitude is not None
    assert place.longitude is not None
    observer = astral.Observer(place.latitude, place.longitude)
    days = (date(YEAR, 1, 1) + timedelta(days=number) for number in range(-1, 368))
    zone = zoneinfo.ZoneInfo(place.zone)
    moments = (round(getattr(astral.sun, kind)(observer, day, tzinfo=zone).timestamp()) for day in days)
    return [moment for moment in moments if start < moment <= end]


def due_in_the_year(place: Place) -> dict[str, list[float]]:
    start, end = begin(place.zone, YEAR), begin(place.zone, YEAR + 1)
    clock = clock_reader.look(place.zone, start, end)
    found = {line: clock_reader.due(clock, meaning) for line, (_, meaning) in LINES_OF_A_YEAR.items()}
    assert {line: len(times) for line, times in found.items()} == {
        line: many for line, (many, _) in LINES_OF_A_YEAR.items()
    }
    found["@hourly"] = clock_reader.due_each_hour(clock, lambda now: now.minute == 0)
    assert len(found["@hourly"]) == 366 * 24
    for kind in ("sunrise", "sunset"):
        found[f"@{kind}"] = sun_of_the_year(place, kind, start, end)
        assert len(found[f"@{kind}"]) == 366
    return found


def expected(times: Sequence[float], catch_up: CatchUp) -> tuple[list[float], list[float], list[JobMissed]]:
    """(when runs were due, which of them were caught up, what was missed) with both jumps of the clock."""
    missed = [at for at in times if JUMP < at <= JUMP + DAY]
    many = {CatchUp.NONE: 0, CatchUp.ONCE: 1, CatchUp.ALL: 10}[catch_up]
    caught = missed[len(missed) - min(many, len(missed)) :]
    lost = missed[: len(missed) - len(caught)]
    before = [at for at in times if at <= JUMP]
    between = [at for at in times if JUMP + DAY < at <= BACK]
    after = [at for at in times if at > BACK - DAY]
    told = [JobMissed("", lost[0], lost[-1])] if lost else []
    return before + caught + between + after, caught, told


@pytest.mark.parametrize("zone", PLACES)
def test_a_year_with_both_turns_and_two_jumps(zone: str) -> None:
    start, end = begin(zone, YEAR), begin(zone, YEAR + 1)
    world = World(PLACES[zone], wall=start)
    due = due_in_the_year(PLACES[zone])
    jobs = [(line, catch_up) for line in LINES_OF_A_YEAR for catch_up in CatchUp]
    jobs += [("@hourly", CatchUp.ALL), ("@sunrise", CatchUp.ONCE), ("@sunset", CatchUp.ALL)]
    for number, (line, catch_up) in enumerate(jobs):
        world.cron.add(Job(name=f"job {number}", schedule=line, catch_up=catch_up), world.now)
    world.cron.add(Job(name="period", schedule="@every 6h"), world.now)
    world.cron.add(Job(name="boot", schedule="@reboot"), world.now, Record(since=start - DAY, boot="zero"))
    world.go(JUMP - start)
    world.wall += DAY
    world.go(BACK - JUMP - DAY)
    world.wall -= DAY
    world.go(end - BACK + DAY)
    assert world.now == Now(1000 + end - start, end)
    found: dict[str, list[Run | JobMissed]] = {}
    for one in world.found:
        found.setdefault(one.name, []).append(one)
    for number, (line, catch_up) in enumerate(jobs):
        runs = [one for one in found[f"job {number}"] if isinstance(one, Run)]
        told = [
            JobMissed("", one.first, one.last) for one in found[f"job {number}"] if isinstance(one, JobMissed)
        ]
        caught = [one.due for one in runs if one.is_catch_up]
        assert ([one.due for one in runs], caught, told) == expected(due[line], catch_up), (line, catch_up)
    assert len(found["period"]) == 366 * 4
    assert found["boot"] == [Run(name="boot", due=start)]
