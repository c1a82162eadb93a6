import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.clock import ManualClock
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError
from wayhouse.devices import readings as module
from wayhouse.devices.buckets import ARCHIVES, Archive, Bucket
from wayhouse.devices.model import TooManyDevicesError
from wayhouse.devices.readings import Readings
from wayhouse.devices.recorder import Recorder

SMALL = (Archive(10, 6), Archive(60, 4))


@pytest.fixture
def readings(database):
    return Readings(database, SMALL)


async def fill(readings, numbers):
    for time, number in numbers:
        readings.add("d", "value", time, number)


@pytest.fixture
def keep(database, readings, clock):
    return Recorder(database, clock, [readings]).keep


@pytest.fixture
def roll_up(keep, clock):
    async def run():
        await keep()
        clock.advance(module.ROLL_UP_S)
        await keep()

    return run


async def test_minimum_mean_and_maximum(readings):
    await fill(readings, [(1000, 1.0), (1003, 2.0), (1009, 6.0), (1010, 7.0)])
    assert readings.between("d", "value", 1000, 1019, now=1019) == [
        Bucket(1000, 10, 3, 1.0, 3.0, 6.0),
        Bucket(1010, 10, 1, 7.0, 7.0, 7.0),
    ]


async def test_the_finest_archive_that_reaches_back_is_used(readings):
    await fill(readings, [(time, float(time)) for time in range(0, 240, 10)])
    assert {one.step_s for one in readings.between("d", "value", 190, 239, now=239)} == {10}
    assert {one.step_s for one in readings.between("d", "value", 100, 239, now=239)} == {60}
    assert {one.step_s for one in readings.between("d", "value", 190, 239, now=239, points=2)} == {60}


async def test_what_is_older_than_the_archives_is_gone(readings):
    await fill(readings, [(time, float(time)) for time in range(0, 600, 10)])
    assert [one.time for one in readings.between("d", "value", 0, 599, now=599)] == [360, 420, 480, 540]
    await fill(readings, [(100_000, 1.0)])
    assert [one.time for one in readings.between("d", "value", 0, 100_000, now=100_000)] == [99_960]


async def test_its_size_is_fixed_by_construction(readings, database, roll_up):
    sizes = set()
    for start in range(0, 3000, 600):
        await fill(readings, [(time, 1.0) for time in range(start, start + 600, 5)])
        await roll_up()
        assert database.read("SELECT count(*) FROM reading_journal") == [(0,)]
        sizes.add(database.read("SELECT count(*) FROM reading_slots")[0][0])
    assert sizes == {6 + 4}


async def test_a_clock_that_was_wrong_does_not_block_the_slots(readings, roll_up):
    await fill(readings, [(time, 9.0) for time in range(1_000_000, 1_000_240, 10)])
    await roll_up()
    await fill(readings, [(time, 1.0) for time in range(0, 240, 10)])
    assert {one.maximum for one in readings.between("d", "value", 0, 239, now=239)} == {1.0}


async def test_what_is_no_number_is_left_out(readings):
    await fill(readings, [(1000, math.nan), (1000, math.inf), (1000, 1e301), (-5, 1.0), (2.0**50, 1.0)])
    assert readings.between("d", "value", 0, 2000, now=2000) == []


async def test_series_are_apart_and_can_be_forgotten(readings, database, roll_up):
    readings.add("d", "value", 1000, 1.0)
    readings.add("e", "value", 1000, 2.0)
    await roll_up()
    await readings.forget("d")
    assert readings.between("d", "value", 990, 1000, now=1000) == []
    assert [one.mean for one in readings.between("e", "value", 990, 1000, now=1000)] == [2.0]
    assert database.read("SELECT count(*) FROM reading_slots")[0][0] == len(SMALL)


async def test_there_is_a_bound_on_series(readings, monkeypatch):
    monkeypatch.setattr(module, "MAX_SERIES", 1)
    readings.add("d", "value", 1000, 1.0)
    readings.add("d", "value", 1001, 1.0)
    with pytest.raises(TooManyDevicesError):
        readings.add("e", "value", 1000, 1.0)


@pytest.mark.parametrize(
    ("start", "end", "points"),
    [(2, 1, 10), (math.nan, 1, 10), (0, math.inf, 10), (0, 1e300, 10), (0, 1, 0), (0, 1, 100_000)],
)
def test_ranges_that_make_no_sense(readings, start, end, points):
    with pytest.raises(BadInputError):
        readings.between("d", "value", start, end, now=10, points=points)


async def test_never_more_points_than_asked_for(readings):
    await fill(readings, [(time, 1.0) for time in range(0, 240, 10)])
    for points in (1, 2, 3):
        assert len(readings.between("d", "value", 0, 239, now=239, points=points)) <= points


def test_the_archives_cover_a_year():
    assert ARCHIVES[-1].span_s >= 365 * 86_400
    assert sum(one.slots for one in ARCHIVES) < 10_000


async def test_what_is_in_the_journal_outlives_a_crash(readings, database, keep):
    await fill(readings, [(1000, 1.0), (1003, 3.0)])
    await keep()
    await fill(readings, [(1004, 100.0)])  # it is not acknowledged: a crash may take it
    again = Readings(database, SMALL)
    assert again.between("d", "value", 1000, 1019, now=1019) == [Bucket(1000, 10, 2, 1.0, 2.0, 3.0)]


async def test_summing_up_changes_no_answer(readings, database, keep, roll_up):
    await fill(readings, [(1000, 1.0), (1012, 3.0)])
    before = readings.between("d", "value", 0, 1019, now=1019)
    await roll_up()
    assert readings.between("d", "value", 0, 1019, now=1019) == before
    await fill(readings, [(1013, 5.0)])
    await keep()
    expected = [Bucket(1000, 10, 1, 1.0, 1.0, 1.0), Bucket(1010, 10, 2, 3.0, 4.0, 5.0)]
    assert readings.between("d", "value", 1000, 1019, now=1019) == expected
    assert Readings(database, SMALL).between("d", "value", 1000, 1019, now=1019) == expected
    await roll_up()
    assert readings.between("d", "value", 1000, 1019, now=1019) == expected
    assert Readings(database, SMALL).between("d", "value", 1000, 1019, now=1019) == expected


async def test_while_it_is_summed_up_nothing_counts_twice(readings, database, clock):
    await fill(readings, [(1000, 1.0)])
    await database.write(readings.begin(0.0))
    readings.end(is_kept=True)
    work = readings.begin(module.ROLL_UP_S)
    await fill(readings, [(1001, 3.0)])
    expected = [Bucket(1000, 10, 2, 1.0, 2.0, 3.0)]
    assert readings.between("d", "value", 1000, 1009, now=1009) == expected
    await database.write(work)
    assert readings.between("d", "value", 1000, 1009, now=1009) == expected
    readings.end(is_kept=True)
    assert readings.between("d", "value", 1000, 1009, now=1009) == expected


async def test_what_could_not_be_written_waits_for_the_next_time(readings, database, clock, keep):
    await fill(readings, [(1000, 1.0)])
    await keep()
    await fill(readings, [(1001, 3.0)])
    assert readings.begin(module.ROLL_UP_S * 2 + clock.monotonic()) is not None
    readings.end(is_kept=False)
    assert readings.begin(clock.monotonic()) is not None
    readings.end(is_kept=False)
    expected = [Bucket(1000, 10, 2, 1.0, 2.0, 3.0)]
    assert readings.between("d", "value", 1000, 1009, now=1009) == expected
    await keep()
    assert Readings(database, SMALL).between("d", "value", 1000, 1009, now=1009) == expected


async def test_a_device_forgotten_meanwhile_is_not_written_again(readings, database, keep):
    readings.add("d", "value", 1000, 1.0)
    assert readings.begin(0.0) is not None
    await readings.forget("d")
    readings.end(is_kept=False)
    await keep()
    assert database.read("SELECT count(*) FROM reading_journal") == [(0,)]


async def test_a_full_journal_is_summed_up_at_once(readings, database, keep, monkeypatch):
    monkeypatch.setattr(module, "MAX_JOURNAL", 3)
    await fill(readings, [(1000 + one, 1.0) for one in range(5)])
    await keep()
    assert database.read("SELECT count(*) FROM reading_journal") == [(0,)]
    assert database.read("SELECT sum(count) FROM reading_slots WHERE step = 10") == [(5,)]


def test_memory_is_bounded(readings, monkeypatch):
    monkeypatch.setattr(module, "MAX_OPEN", 4)
    for time in range(0, 1000, 10):
        readings.add("d", "value", time, 1.0)
    assert len(readings._folds) <= 4 + len(SMALL)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
@settings(max_examples=20, deadline=None)
async def test_a_bucket_says_what_the_numbers_say(tmp_path_factory, numbers):
    database = Database(tmp_path_factory.mktemp("readings") / "state.db")
    try:
        readings = Readings(database, SMALL)
        keep = Recorder(database, ManualClock(), [readings]).keep
        for number in numbers:
            readings.add("d", "value", 1000, number)
            await keep()
        (bucket,) = readings.between("d", "value", 1000, 1000, now=1000)
        assert (bucket.count, bucket.minimum, bucket.maximum) == (len(numbers), min(numbers), max(numbers))
        assert bucket.mean == pytest.approx(statistics.fmean(numbers), abs=1e-6)
    finally:
        database.close()
