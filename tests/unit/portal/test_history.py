from __future__ import annotations

import pytest

from wayhouse.devices.buckets import ARCHIVES, Bucket
from wayhouse.portal import history


def bucket(minute: int, mean: float, count: int = 1) -> Bucket:
    return Bucket(minute * 60.0, 60, count, mean - 1, mean, mean + 1)


def test_columns_break_where_readings_are_missing():
    found = history.Found(0.0, 3600.0, [bucket(0, 1.0), bucket(1, 2.0), bucket(2, 3.0), bucket(30, 8.0, 3)])
    table = history.columns(found, "°C")
    assert table["time"] == [0, 60, 120, 180, 1800]
    assert table["mean"] == [1, 2, 3, None, 8]
    assert (table["low"][3], table["high"][0], table["unit"], table["end"]) == (None, 2, "°C", 3600)
    assert (table["lowest"], table["average"], table["highest"]) == (0, 5, 9)


def test_a_device_that_is_asked_rarely_is_no_row_of_gaps():
    table = history.columns(history.Found(0, 9e3, [bucket(at, 1.0) for at in range(0, 100, 10)]), "")
    assert None not in table["mean"]


def test_nothing_recorded():
    table = history.columns(history.Found(0, 1, []), "")
    assert (table["time"], table["lowest"]) == ([], None)
    assert history.csv([]).count("\n") == 1


def test_a_file_for_a_spreadsheet():
    assert history.csv([bucket(1, 2.5)]).splitlines()[1] == "1970-01-01T00:01:00Z,60,1,1.5,2.5,3.5"
    assert history.file_name('a"b/ü', "volume.level") == "a-b-volume-level.csv"


@pytest.mark.parametrize("span", history.RANGES)
def test_each_range_fits_an_archive(span):
    """So that the page shows the finest steps that are kept for it."""
    fits = [
        one for one in ARCHIVES if span.seconds <= one.span_s and span.seconds / one.step_s + 1 < span.points
    ]
    assert fits
    assert history.span_named(span.name) is span
    assert history.span_named("other") is history.RANGES[0]
