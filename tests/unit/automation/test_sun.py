"""Sunrise and sunset against tables, at the poles, and at places whose clocks are far from the sun."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.automation.model import BadScheduleError, Place
from wayhouse.automation.schedule import Phase
from wayhouse.automation.sun import moments


def test_berlin_at_midsummer() -> None:
    berlin = Place("Europe/Berlin", 52.52, 13.405)
    up, down = (next(moments(phase, berlin, date(2026, 6, 21))) for phase in (Phase.SUNRISE, Phase.SUNSET))
    assert abs(up - datetime(2026, 6, 21, 2, 43, tzinfo=UTC).timestamp()) < 120
    assert abs(down - datetime(2026, 6, 21, 19, 33, tzinfo=UTC).timestamp()) < 120


def test_the_polar_night_is_passed_over() -> None:
    tromso = Place("Europe/Oslo", 69.65, 18.96)
    first = datetime.fromtimestamp(next(moments(Phase.SUNRISE, tromso, date(2026, 12, 1))), UTC).date()
    assert date(2027, 1, 10) < first < date(2027, 1, 20)


def test_a_place_is_needed() -> None:
    with pytest.raises(BadScheduleError, match="latitude and longitude"):
        next(moments(Phase.DAWN, Place("Europe/Berlin"), date(2026, 1, 1)))


@settings(max_examples=25, deadline=None)
@given(
    st.floats(-90, 90),
    st.floats(-180, 180),
    st.sampled_from(list(Phase)),
    st.sampled_from(["UTC", "Asia/Tokyo", "Pacific/Apia"]),
    st.dates(date(1970, 1, 2), date(2100, 1, 1)),
)
def test_anywhere_the_moments_follow_each_other(
    latitude: float, longitude: float, phase: Phase, zone: str, day: date
) -> None:
    found = [
        at for at, _ in zip(moments(phase, Place(zone, latitude, longitude), day), range(20), strict=False)
    ]
    assert found == sorted(found)
