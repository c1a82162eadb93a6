"""Timestamps only grow, whatever the clock does."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.overlay.wireguard.tai64n import Stamps


def test_a_known_time() -> None:
    assert Stamps().stamp(0.0).hex() == "400000000000000a00000000"
    assert Stamps().stamp(1_700_000_000.999)[:8].hex() == "400000006553f10a"


def test_it_tells_no_more_than_17_ms_of_the_clock() -> None:
    assert Stamps().stamp(100.001) == Stamps().stamp(100.015)


@settings(deadline=None)
@given(st.lists(st.floats(min_value=-1e12, max_value=1e25, allow_nan=False), max_size=30))
def test_each_is_greater_than_the_one_before(times: list[float]) -> None:
    stamps = Stamps()
    found = [stamps.stamp(wall) for wall in times]
    assert all(len(stamp) == 12 for stamp in found)
    assert found == sorted(set(found))


def test_a_clock_that_stands_still_or_went_back_over_a_restart() -> None:
    before = Stamps()
    found = [before.stamp(1_700_000_000.0) for _ in range(200)]
    after = Stamps(before.latest)
    assert found == sorted(set(found))
    assert after.stamp(5.0) > found[-1]
