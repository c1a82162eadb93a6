"""`wayhouse clock` on a gateway of its own."""

from __future__ import annotations

import pytest

from tests.parts.automation_gateway import house, tell
from tests.unit.automation.drivers.test_chrony import GOOD
from tests.unit.automation.drivers.test_programs import program
from wayhouse.cli.clock import _offset

__all__ = ["house", "tell"]


def test_looking(tell, house):
    program(house.home.programs, "chronyc", f'echo "{GOOD}"')
    shown = tell("clock")
    assert shown.code == 0, shown
    assert "Kept by         chrony" in shown.out
    assert "12.5 us behind, by chrony" in shown.out
    assert "Server          192.168.1.1 (stratum 3)" in shown.out
    assert "no hardware clock" in shown.err
    assert tell("clock", "status", "--json").json["source"] == "chrony"


def test_setting(tell, house):
    refused = tell("clock", "rtc-from-system")
    assert refused.code == 1
    assert "hwclock" in refused.err
    program(house.home.programs, "hwclock", "exit 0")
    done = tell("clock", "rtc-from-system")
    assert (done.code, "hardware clock is set" in done.err) == (0, True)
    assert tell("clock", "fly").code == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "less than 1 us"), (2.5, "2.5 s ahead"), (-0.0031, "3.1 ms behind"), (0.0000125, "12.5 us ahead")],
)
def test_offsets(seconds, text):
    assert _offset(seconds) == text
