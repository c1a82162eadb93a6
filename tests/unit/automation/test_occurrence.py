"""Years of cron over the turns of the clocks, against a clock that is read each minute."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.automation.model import BadScheduleError, Place
from wayhouse.automation.occurrence import LATEST, last_until, next_after
from wayhouse.automation.schedule import Calendar, parse

BERLIN = Place("Europe/Berlin", 52.52, 13.405)
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Havana",
    "Pacific/Apia",
    "Africa/Cairo",
    "UTC",
]


def unix(*when: int, zone: str = "UTC") -> float:
    return datetime(*when, tzinfo=zoneinfo.ZoneInfo(zone)).timestamp()


def many(line: str, place: Place, since: float, until: float) -> list[str]:
    """All occurrences in UTC."""
    found, schedule = [], parse(line)
    while (since := next_after(schedule, since, place) or LATEST) <= until:
        found.append(datetime.fromtimestamp(since, UTC).strftime("%d %H:%M"))
    return found


def test_what_the_gap_skips_runs_once_at_its_end() -> None:
    day = unix(2026, 3, 28, 20), unix(2026, 3, 29, 20)
    assert many("30 2 * * *", BERLIN, *day) == ["29 01:00"]
    assert many("*/20 2 * * *", BERLIN, *day) == ["29 01:00"]
    assert many("0 3 * * *", BERLIN, *day) == ["29 01:00"]
    assert many("30 2,3 * * *", BERLIN, *day) == ["29 01:00", "29 01:30"]


def test_what_is_shown_twice_runs_once() -> None:
    day = unix(2026, 10, 24, 20), unix(2026, 10, 26)
    assert many("30 2 * * *", BERLIN, *day) == ["25 00:30"]
    assert many("0 2,3 * * *", BERLIN, *day) == ["25 00:00", "25 02:00"]


def test_a_line_of_each_hour_never_pauses() -> None:
    assert many("30 * * * *", BERLIN, unix(2026, 10, 24, 23), unix(2026, 10, 25, 3)) == [
        "24 23:30",
        "25 00:30",
        "25 01:30",
        "25 02:30",
    ]
    assert many("30 * * * *", BERLIN, unix(2026, 3, 28, 23), unix(2026, 3, 29, 3)) == [
        "28 23:30",
        "29 00:30",
        "29 01:30",
        "29 02:30",
    ]


def test_a_day_that_a_zone_skips() -> None:
    apia = Place("Pacific/Apia")
    assert many("0 8 * * *", apia, unix(2011, 12, 29), unix(2012, 1, 1)) == [
        "29 18:00",
        "30 10:00",
        "30 18:00",
        "31 18:00",
    ]


def test_years_of_a_daily_job_have_one_run_a_day() -> None:
    schedule = parse("30 2 * * *")
    at, runs = unix(2020, 1, 1, zone="Europe/Berlin"), 0
    while (at := next_after(schedule, at, BERLIN) or LATEST) < unix(2024, 1, 1, zone="Europe/Berlin"):
        runs += 1
    assert runs == 1461


def test_the_sun() -> None:
    schedule = parse("@sunset-00:30")
    at = next_after(schedule, unix(2026, 6, 21, 12), BERLIN)
    assert at is not None
    assert abs(at - unix(2026, 6, 21, 19, 3)) < 120
    following = next_after(schedule, at, BERLIN)
    assert following is not None
    assert abs(following - at - 86400) < 180
    with pytest.raises(BadScheduleError):
        next_after(schedule, at, Place())


def test_periods_boots_and_the_ends_of_time() -> None:
    assert next_after(parse("@every 90s"), 10.5, BERLIN) == 100.5
    assert next_after(parse("@reboot"), 10.0, BERLIN) is None
    assert next_after(parse("@daily"), -1.0, BERLIN) is None
    assert next_after(parse("@daily"), 1e300, BERLIN) is None
    assert next_after(parse("@daily"), float("nan"), BERLIN) is None


def read_each_minute(schedule: Calendar, place: Place, start: int, minutes: int) -> list[float]:
    """The same by another way: what clocks show each minute, and what they skipped to show it."""
    zone, found = zoneinfo.ZoneInfo(place.zone), []
    before = datetime.fromtimestamp(start, zone)
    for number in range(1, minutes + 1):
        now = datetime.fromtimestamp(start + 60 * number, zone)
        skipped = [before.replace(tzinfo=None) + timedelta(minutes=1)]
        while not schedule.is_each_hour and skipped[-1] < now.replace(tzinfo=None):
            skipped.append(skipped[-1] + timedelta(minutes=1))
        if schedule.is_each_hour or now.replace(tzinfo=None) <= before.replace(tzinfo=None):
            skipped = [now.replace(tzinfo=None)]
        is_again = now.fold == 1 and not schedule.is_each_hour
        if not is_again and any(matches(schedule.expression, one) for one in skipped):
            found.append(float(start + 60 * number))
        before = now
    return found


def matches(expression: str, time: datetime) -> bool:
    return next(CronSim(expression, time.replace(fold=0) - timedelta(seconds=1))) == time.replace(fold=0)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.sampled_from(["*", "0", "7", "*/15", "59", "10-40/7"]),
    st.sampled_from(["*", "0", "1", "2", "0-3", "*/2", "23", "1,2"]),
    st.sampled_from(
        [
            (2026, 3, 28),
            (2026, 10, 24),
            (2026, 3, 7),
            (2026, 10, 31),
            (2011, 12, 29),
            (2026, 4, 4),
            (2026, 10, 3),
        ]
    ),
    st.integers(0, 1439),
)
def test_it_agrees_with_a_clock_that_is_read(
    zone: str, minute: str, hour: str, day: tuple[int, int, int], offset: int
) -> None:
    place, schedule = Place(zone), parse(f"{minute} {hour} * * *")
    assert isinstance(schedule, Calendar)
    start = int(unix(*day)) + 60 * offset
    expected, found, at = read_each_minute(schedule, place, start, 1500), [], float(start)
    while (at := next_after(schedule, at, place) or LATEST) <= start + 1500 * 60:
        found.append(at)
    assert found == expected


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "* * 2 * * *", "0 0 1 * *", "*/5 0-3 * * *"]),
    st.sampled_from(ZONES),
    st.integers(1_700_000_000, 1_800_000_000),
    st.integers(1, 40_000_000),
)
def test_the_last_one_is_the_last(line: str, zone: str, instant: int, reach: int) -> None:
    schedule, place = parse(line), Place(zone)
    last = last_until(schedule, instant, instant - reach, place)
    if last is None:
        found = next_after(schedule, instant - reach, place)
        assert found is None or found > instant
    else:
        assert instant - reach < last <= instant
        assert next_after(schedule, last - 0.5, place) == last
        assert (next_after(schedule, last, place) or LATEST) > instant
