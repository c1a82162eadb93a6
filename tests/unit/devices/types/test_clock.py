import pytest

from wayhouse.devices.model import BadValueError
from wayhouse.devices.types.clock import ClockDevice


def test_a_clock_is_read_and_set_but_not_polled():
    clock = ClockDevice({"oid": "clock", "name": "rtc"})
    assert clock.known.poll == 0
    assert clock.command("time").check(1_700_000_000) == 1_700_000_000.0
    with pytest.raises(BadValueError):
        clock.command("time").check(-1)
