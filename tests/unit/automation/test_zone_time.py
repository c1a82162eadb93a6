"""Gaps and stretches that are shown twice, in zones that turn by an hour, by half of one, by a day, at midnight."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.automation.zone_time import instant_of, shown, turn_at

ZONES = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})


def unix(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("zone", "time", "at", "first", "end"),
    [
        ("Europe/Berlin", (2026, 3, 29, 2, 30), (2026, 3, 29, 1), (2026, 3, 29, 2), (2026, 3, 29, 3)),
        (
            "Australia/Lord_Howe",
            (2026, 10, 4, 2, 15),
            (2026, 10, 3, 15, 30),
            (2026, 10, 4, 2),
            (2026, 10, 4, 2, 30),
        ),
        ("Pacific/Apia", (2011, 12, 30, 12, 0), (2011, 12, 30, 10), (2011, 12, 30), (2011, 12, 31)),
    ],
)
def test_gaps(
    zone: str, time: tuple[int, ...], at: tuple[int, ...], first: tuple[int, ...], end: tuple[int, ...]
) -> None:
    turn = turn_at(datetime(*time), zoneinfo.ZoneInfo(zone))
    assert turn == (unix(*at), datetime(*first), datetime(*end), True)


def test_a_stretch_that_is_shown_twice() -> None:
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    turn = turn_at(datetime(2026, 10, 25, 2, 30), berlin)
    assert turn == (unix(2026, 10, 25, 1), datetime(2026, 10, 25, 2), datetime(2026, 10, 25, 3), False)
    assert instant_of(datetime(2026, 10, 25, 2, 30), berlin) == unix(2026, 10, 25, 0, 30)
    assert instant_of(datetime(2026, 10, 25, 2, 30), berlin, 1) == unix(2026, 10, 25, 1, 30)
    assert turn_at(datetime(2026, 10, 25, 3), berlin) is None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ZONES), st.integers(0, 2_500_000_000))
def test_there_and_back(zone: str, instant: int) -> None:
    there = zoneinfo.ZoneInfo(zone)
    time = shown(instant, there)
    assert instant_of(time, there, time.fold) == instant
    turn = turn_at(time, there)
    if turn is not None:
        assert not turn.is_gap, "clocks show no time of a gap"
        assert turn.first <= time.replace(fold=0) < turn.end
        assert shown(turn.at - 1, there).replace(fold=0) + timedelta(seconds=1) == turn.end
        assert shown(turn.at, there).replace(fold=0) == turn.first
