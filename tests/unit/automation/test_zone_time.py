"""Gaps and stretches that are shown twice, in zones that turn by an hour, by half of one, by a day, at midnight."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wayhouse.automation.zone_time import Stretch, shown, stretch_at

ZONES = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})
EPOCH = datetime(1970, 1, 1)


def unix(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())


def around(zone: str, at: int) -> tuple[Stretch, Stretch]:
    there = zoneinfo.ZoneInfo(zone)
    return stretch_at(at - 1, there), stretch_at(at, there)


@pytest.mark.parametrize(
    ("zone", "at", "first", "end"),
    [
        ("Europe/Berlin", (2026, 3, 29, 1), (2026, 3, 29, 2), (2026, 3, 29, 3)),
        ("Australia/Lord_Howe", (2026, 10, 3, 15, 30), (2026, 10, 4, 2), (2026, 10, 4, 2, 30)),
        ("Pacific/Apia", (2011, 12, 30, 10), (2011, 12, 30), (2011, 12, 31)),
        ("America/Havana", (2026, 3, 8, 5), (2026, 3, 8), (2026, 3, 8, 1)),
    ],
)
def test_gaps(zone: str, at: tuple[int, ...], first: tuple[int, ...], end: tuple[int, ...]) -> None:
    before, after = around(zone, unix(*at))
    assert before.end == after.begin == unix(*at)
    assert before.end + before.offset == unix(*first)
    assert after.begin + after.offset == unix(*end)
    assert after.news == unix(*first), "nothing after a gap was shown already"


@pytest.mark.parametrize(
    ("zone", "at", "first", "end"),
    [
        ("Europe/Berlin", (2026, 10, 25, 1), (2026, 10, 25, 2), (2026, 10, 25, 3)),
        ("Australia/Lord_Howe", (2026, 4, 4, 15), (2026, 4, 5, 1, 30), (2026, 4, 5, 2)),
        ("Antarctica/Vostok", (1994, 1, 31, 17), (1994, 1, 31, 17), (1994, 2, 1)),
    ],
)
def test_stretches_that_are_shown_twice(
    zone: str, at: tuple[int, ...], first: tuple[int, ...], end: tuple[int, ...]
) -> None:
    before, after = around(zone, unix(*at))
    assert before.end == after.begin == unix(*at)
    assert after.begin + after.offset == unix(*first)
    assert before.end + before.offset == after.news == unix(*end)


def test_a_zone_that_is_never_set_is_one_stretch() -> None:
    utc = zoneinfo.ZoneInfo("UTC")
    assert {stretch_at(day * 86400, utc).offset for day in range(400)} == {0}
    assert shown(1.9, utc) == 1


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ZONES), st.integers(0, 2_500_000_000))
@example("Europe/Berlin", unix(2026, 10, 25, 1))
@example("Europe/Berlin", unix(2026, 10, 25, 1, 59, 59))
@example("Europe/Berlin", unix(2026, 10, 25, 2))
def test_it_is_what_clocks_show(zone: str, instant: int) -> None:
    there = zoneinfo.ZoneInfo(zone)
    clock = datetime.fromtimestamp(instant, there)
    time = shown(instant, there)
    assert EPOCH + timedelta(seconds=time) == clock.replace(tzinfo=None, fold=0)
    stretch = stretch_at(instant, there)
    assert stretch.begin <= instant < stretch.end
    assert (time < stretch.news) == (clock.fold == 1)
    for other in (stretch.begin, stretch.end - 1):
        assert stretch_at(other, there) == stretch
        assert shown(other, there) == other + stretch.offset
    assert stretch_at(stretch.end, there).begin == stretch.end


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(ZONES), st.integers(0, 60), st.integers(0, 86400))
def test_no_setting_of_clocks_is_overlooked(zone: str, year: int, second: int) -> None:
    """Each hour of a year, from any second of it."""
    there = zoneinfo.ZoneInfo(zone)
    begin = unix(1970 + year, 1, 1) + second
    for instant in range(begin, begin + 366 * 86400, 3600):
        clock = datetime.fromtimestamp(instant, there)
        assert EPOCH + timedelta(seconds=shown(instant, there)) == clock.replace(tzinfo=None, fold=0)
