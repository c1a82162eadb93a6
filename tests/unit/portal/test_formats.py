from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.portal import formats


def test_what_people_read():
    assert [formats.size(n) for n in (0, 1023, 1024, 12_345_678, 5 * 1024**3, 252 * 1024**3)] == [
        "0 B",
        "1023 B",
        "1 KB",
        "12 MB",
        "5.0 GB",
        "252 GB",
    ]
    assert [formats.percent(n) for n in (0.0, 0.01, 0.26, 9.94, 12.4, 100.0)] == [
        "0 %",
        "0 %",
        "0.3 %",
        "9.9 %",
        "12 %",
        "100 %",
    ]
    assert [formats.duration(n) for n in (0, 0.4, 8, 61, 3600, 100_000, None)] == [
        "0 s",
        "under 1 s",
        "8 s",
        "1 min 1 s",
        "1 h",
        "1 d 3 h",
        "",
    ]
    assert [formats.ago(100.0, now) for now in (100.0, 110.0, 400.0)] == ["just now", "10 s ago", "5 min ago"]
    assert formats.ago(None, 1.0) == formats.iso(None) == ""
    assert formats.size(None) == formats.percent(None)
    assert formats.iso(0) == "1970-01-01T00:00:00Z"
    assert formats.moment(0) == "1970-01-01 00:00:00"


def test_how_soon():
    assert [formats.until(time, 100.0) for time in (None, 90.0, 100.5, 400.0)] == [
        "",
        "now",
        "now",
        "in 5 min",
    ]


@settings(max_examples=200)
@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_no_number_breaks_them(one, other):
    formats.iso(one)
    formats.duration(one)
    formats.ago(one, other)
    formats.until(one, other)
    formats.size(abs(one))
    formats.percent(one)
