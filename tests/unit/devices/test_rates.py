import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.devices.command import DataSource
from wayhouse.devices.rates import next_number


@pytest.mark.parametrize(
    ("kind", "before", "value", "number"),
    [
        (DataSource.GAUGE, None, 5.0, 5.0),
        (DataSource.GAUGE, (0.0, 3.0), 5.0, 5.0),
        (DataSource.COUNTER, None, 5.0, None),
        (DataSource.COUNTER, (0.0, 100.0), 200.0, 10.0),
        (DataSource.COUNTER, (0.0, 2.0**32 - 50), 50.0, 10.0),
        (DataSource.COUNTER, (0.0, 100.0), 5.0, None),
        (DataSource.DERIVE, (0.0, 200.0), 100.0, -10.0),
        (DataSource.ABSOLUTE, (0.0, 999.0), 100.0, 10.0),
        (DataSource.DERIVE, (10.0, 1.0), 2.0, None),
        (DataSource.DERIVE, (11.0, 1.0), 2.0, None),
    ],
)
def test_numbers_ten_seconds_later(kind, before, value, number):
    assert next_number(kind, before, 10.0, value) == number


@given(st.floats(0, 2**64), st.floats(0, 2**64), st.floats(0.001, 1e6))
def test_counters_never_fall(before, value, elapsed):
    number = next_number(DataSource.COUNTER, (0.0, before), elapsed, value)
    assert number is None or number >= 0
