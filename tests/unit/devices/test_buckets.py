import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.devices.buckets import Archive, Folds, is_kept

SMALL = (Archive(10, 6), Archive(60, 4))
POINTS = st.lists(st.tuples(st.integers(1, 2), st.floats(0, 500), st.floats(-1e6, 1e6)), max_size=40)


def filled(points):
    folds = Folds(SMALL)
    for series, time, number in points:
        folds.add(series, time, number)
    return folds


@given(POINTS)
@settings(max_examples=60, deadline=None)
def test_each_bucket_is_the_sum_of_its_numbers(points):
    folds = filled(points)
    assert len(folds) == len(list(folds.all()))
    for series, (step, bucket), one in folds.all():
        mine = [number for key, time, number in points if key == series and int(time // step) == bucket]
        assert (one.count, one.low, one.high) == (len(mine), min(mine), max(mine))
        shown = one.bucket(step, bucket)
        assert shown.mean == pytest.approx(statistics.fmean(mine), abs=1e-6)
        assert shown.minimum <= shown.mean <= shown.maximum


@given(POINTS, POINTS)
@settings(max_examples=40, deadline=None)
def test_absorbing_is_the_same_as_adding(first, second):
    folds = filled(first)
    folds.absorb(filled(second))
    assert len(folds) == len(filled(first + second))
    both = {(series, key): one for series, key, one in filled(first + second).all()}
    for series, key, one in folds.all():
        other = both[series, key]
        assert (one.count, one.low, one.high) == (other.count, other.low, other.high)
        assert one.total == pytest.approx(other.total, abs=1e-3)


def test_forgetting():
    folds = filled([(1, 5.0, 1.0), (2, 5.0, 2.0), (3, 5.0, 3.0)])
    folds.forget(1)
    folds.forget(9)
    folds.keep_only({3})
    assert {series for series, _, _ in folds.all()} == {3}
    assert len(folds) == len(SMALL)
    assert list(folds.between(3, 10, 0, 0)) == [0]
    assert folds.between(3, 10, 1, 5) == folds.between(1, 10, 0, 9) == {}


@pytest.mark.parametrize(
    ("time", "number", "kept"),
    [
        (0, 1.0, True), (1, math.nan, False), (1, math.inf, False), (1, 1e301, False),
        (-1, 1.0, False), (2.0**50, 1.0, False),
    ],
)  # fmt: skip
def test_what_is_kept(time, number, kept):
    assert is_kept(time, number) is kept
