"""The hardware clock read and set, through programs that stand in for hwclock and sudo."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.automation.drivers.test_programs import program
from wayhouse.automation.clock_model import ClockFailedError, ClockRightsError, NoHardwareClockError
from wayhouse.automation.drivers.hwclock import HardwareClock, parse
from wayhouse.automation.drivers.programs import Programs


@pytest.fixture
def clock(tmp_path):
    def make(**more):
        return HardwareClock(
            Programs(f"{tmp_path}:/bin:/usr/bin"),
            since_epoch=tmp_path / "since_epoch",
            adjtime=tmp_path / "adjtime",
            **more,
        )

    return make


def test_what_it_prints():
    assert parse("2026-03-01 13:00:00.250000+01:00\n") == 1_772_366_400.25
    assert parse("2026-03-01 13:00:00") is None
    assert parse("hwclock: select() timed out") is None


@given(st.text())
def test_anything_is_read_without_harm(text):
    parse(text)


async def test_read_with_the_program(tmp_path, clock):
    program(tmp_path, "hwclock", '[ "$1" = --get ] && echo "2026-03-01 13:00:00.250000+01:00"')
    assert await clock().read() == 1_772_366_400.25


async def test_read_without_the_program(tmp_path, clock, monkeypatch):
    program(tmp_path, "hwclock", "exit 1")
    assert await clock().read() is None
    (tmp_path / "since_epoch").write_text("1772366400\n")
    assert await clock().read() == 1_772_366_400.5
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    try:
        (tmp_path / "adjtime").write_text("0.0 0 0.0\n0\nLOCAL\n")
        assert await clock().read() == 1_772_366_400.5 - 3600
    finally:
        monkeypatch.undo()
        time.tzset()
    (tmp_path / "since_epoch").write_text("nonsense")
    assert await clock().read() is None


async def test_set(tmp_path, clock):
    program(tmp_path, "hwclock", f'echo "$1" >> {tmp_path}/did')
    await clock().set_from_system()
    await clock().set_system()
    assert (tmp_path / "did").read_text() == "--systohc\n--hctosys\n"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("hwclock: settimeofday() failed: Operation not permitted", ClockRightsError),
        ("hwclock: Sorry, only the superuser can change the Hardware Clock.", ClockRightsError),
        ("hwclock: Cannot access the Hardware Clock via any known method.", NoHardwareClockError),
        ("hwclock: ioctl(RTC_SET_TIME) failed: Input/output error", ClockFailedError),
        ("", ClockFailedError),
    ],
)
async def test_why_it_cannot_be_set(tmp_path, clock, said, error):
    program(tmp_path, "hwclock", f'echo "{said}" >&2; exit 1')
    with pytest.raises(error) as caught:
        await clock().set_system()
    if error is ClockRightsError:
        assert f"{tmp_path}/hwclock --hctosys" in caught.value.message


async def test_without_the_program_it_cannot_be_set(tmp_path):
    with pytest.raises(NoHardwareClockError, match="util-linux"):
        await HardwareClock(Programs(str(tmp_path))).set_system()


async def test_through_sudo(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    program(tmp_path, "hwclock", "exit 1")
    program(tmp_path, "sudo", f'echo "$*" > {tmp_path}/did')
    await clock(through_sudo=True).set_from_system()
    assert (tmp_path / "did").read_text() == f"-n {tmp_path}/hwclock --systohc\n"
    program(tmp_path, "sudo", "echo 'sudo: a password is required' >&2; exit 1")
    with pytest.raises(ClockRightsError, match="sudoers"):
        await clock(through_sudo=True).set_from_system()
