"""The clock over the API: looking at it, and setting one clock from the other."""

from __future__ import annotations

import pytest

from tests.parts.automation import automation
from tests.unit.automation.drivers.test_chrony import GOOD
from tests.unit.automation.drivers.test_programs import program


@pytest.fixture
async def home(tmp_path):
    async with automation(tmp_path / "home") as one:
        yield one


async def test_looking(home):
    program(home.programs, "chronyc", f'echo "{GOOD}"')
    state = (await home.ask("GET", "/api/v1/clock", who="user")).json()
    assert (state["source"], state["is_synchronised"], state["rtc"]) == ("chrony", True, None)
    assert (await home.ask("GET", "/api/v1/clock", who="guest")).status == 403


async def test_setting(home):
    assert (await home.ask("POST", "/api/v1/clock/rtc-from-system", who="user")).status == 403
    answer = await home.ask("POST", "/api/v1/clock/rtc-from-system")
    assert (answer.status, answer.json()["code"]) == (503, "no-hardware-clock")
    program(home.programs, "hwclock", "exit 0")
    assert (await home.ask("POST", "/api/v1/clock/rtc-from-system")).status == 200
    program(home.programs, "hwclock", "echo 'Operation not permitted' >&2; exit 1")
    answer = await home.ask("POST", "/api/v1/clock/rtc-from-system")
    assert answer.json()["code"] == "clock-rights"
    program(home.programs, "chronyc", f'echo "{GOOD}"')
    answer = await home.ask("POST", "/api/v1/clock/system-from-rtc")
    assert (answer.status, answer.json()["code"]) == (409, "clock-kept")
