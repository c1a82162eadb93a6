import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.devices.drivers.waves import cyclic, linear


@pytest.mark.parametrize(
    ("now", "value"), [(0, 10), (15, 15), (30, 20), (45, 15), (60, 10), (75, 15), (-15, 15)]
)
def test_a_cycle(now, value):
    assert cyclic(now, cycle_s=60, minimum=10, maximum=20) == pytest.approx(value)


@pytest.mark.parametrize(
    ("now", "slope", "value"), [(0, 2, 10), (3, 2, 16), (5, 2, 10), (6, 2, 12), (3, -2, 14), (9, 0, 10)]
)
def test_a_ramp(now, slope, value):
    assert linear(now, slope_per_s=slope, minimum=10, maximum=20) == pytest.approx(value)


@given(
    st.floats(-1e12, 1e12),
    st.floats(0.01, 1e9),
    st.floats(-1e6, 1e6),
    st.floats(-1e9, 1e9),
    st.floats(0, 1e9),
)
def test_always_between_its_bounds(now, cycle_s, slope, minimum, span):
    maximum = minimum + span
    assert minimum <= cyclic(now, cycle_s=cycle_s, minimum=minimum, maximum=maximum) <= maximum
    assert minimum <= linear(now, slope_per_s=slope, minimum=minimum, maximum=maximum) <= maximum
