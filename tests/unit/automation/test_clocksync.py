"""Who keeps the clock and whether it is right, on machines that have all, some and none of it."""

# covers: automation/clock_model.py

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.automation.drivers.test_chrony import GOOD
from tests.unit.automation.drivers.test_ntp import reply, serve
from tests.unit.automation.drivers.test_programs import program
from wayhouse.automation.clock_model import (
    ClockKeptError,
    ClockOff,
    ClockRightsError,
    ClockSettings,
    ClockSynced,
    HardwareClockWrongError,
    NoHardwareClockError,
    Source,
    server_of,
)
from wayhouse.automation.clocksync import ClockSync
from wayhouse.automation.drivers import kernel_clock
from wayhouse.automation.drivers.hwclock import HardwareClock
from wayhouse.automation.drivers.programs import Programs
from wayhouse.base.clock import ManualClock, SystemClock
from wayhouse.base.errors import BadInputError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks


@pytest.fixture(autouse=True)
def _unkept(monkeypatch):
    """What the kernel of the machine under the tests says is not their business."""
    monkeypatch.setattr(kernel_clock, "is_synchronised", lambda: False)


@pytest.fixture
async def made(tmp_path):
    async with Tasks() as tasks:

        def make(clock=None, events=None, **settings):
            programs = Programs(f"{tmp_path}:/bin:/usr/bin".replace(":/usr/bin", ""))
            hardware = HardwareClock(
                programs, since_epoch=tmp_path / "since_epoch", adjtime=tmp_path / "adjtime"
            )
            return ClockSync(
                ClockSettings(**{"may_set": True, **settings}),
                clock or ManualClock(1_772_366_400.0),
                events or Events(),
                tasks,
                programs=programs,
                hardware=hardware,
            )

        yield make


@pytest.fixture(autouse=True)
def _bare(tmp_path):
    """None of the programs of the machine under the tests is found."""
    for name in ("timedatectl", "hwclock", "chronyc"):
        program(tmp_path, name, "exit 1")


async def test_a_bare_machine(made):
    state = await made().state()
    assert (state.source, state.is_synchronised, state.offset_s, state.rtc) == (
        Source.NONE,
        False,
        None,
        None,
    )
    assert "timedatectl set-ntp" in state.notes[0]
    assert "no hardware clock" in state.notes[1]


async def test_chrony_and_a_hardware_clock(made, tmp_path):
    program(tmp_path, "chronyc", f'echo "{GOOD}"')
    (tmp_path / "since_epoch").write_text("1772366402")
    state = await made().state()
    assert (state.source, state.is_synchronised, state.offset_from) == (Source.CHRONY, True, "chrony")
    assert state.rtc_offset_s == 2.5
    assert state.notes == ()


async def test_somebody_else_keeps_it(made, monkeypatch):
    monkeypatch.setattr(kernel_clock, "is_synchronised", lambda: True)
    state = await made().state()
    assert (state.source, state.is_synchronised) == (Source.OTHER, True)


async def test_a_server_is_asked_only_if_the_settings_name_one(made):
    clock = SystemClock()
    transport, server, port = await serve(
        lambda cookie: [reply(cookie, clock.wall() + 100, clock.wall() + 100)]
    )
    await made(clock).state()
    assert server.heard == []
    state = await made(clock, ntp_server=f"127.0.0.1:{port}").state()
    transport.close()
    assert (state.offset_from, state.server, state.source) == ("ntp", f"127.0.0.1:{port}", Source.NONE)
    assert state.offset_s == pytest.approx(-100, abs=1)


async def test_a_server_that_fails_is_a_note(made):
    transport, _, port = await serve(lambda cookie: [reply(cookie, 0, 0, stratum=0, word=b"DENY")])
    state = await made(ntp_server=f"127.0.0.1:{port}").state()
    transport.close()
    assert any("DENY" in note for note in state.notes)
    assert state.offset_s is None


async def test_the_last_answer_serves_for_some_seconds(made, tmp_path):
    clock = ManualClock()
    sync = made(clock)
    before = await sync.state()
    program(tmp_path, "chronyc", f'echo "{GOOD}"')
    assert await sync.state() is before
    clock.advance(6)
    assert (await sync.state()).source is Source.CHRONY


async def test_changes_are_told(made, tmp_path):
    clock, events = ManualClock(1_772_366_400.0), Events()
    sync = made(clock, events, poll_s=60)
    with events.subscribe(ClockSynced, ClockOff) as heard:
        program(tmp_path, "chronyc", f'echo "{GOOD}"')
        sync.start()
        sync.start()
        assert isinstance(await anext(heard), ClockSynced)
        program(tmp_path, "chronyc", f'echo "{GOOD.replace("0.000012500", "2.5")}"')
        off = await anext(heard)
        assert isinstance(off, ClockOff)
        assert off.state.offset_s == -2.5
        program(tmp_path, "chronyc", "exit 1")
        await sync.stop()
        await sync.stop()


async def test_both_ways(made, tmp_path):
    (tmp_path / "since_epoch").write_text("1772366402")
    program(tmp_path, "hwclock", f'[ "$1" = --get ] && exit 1; echo "$1" >> {tmp_path}/did')
    sync = made()
    assert (await sync.rtc_from_system()).rtc is not None
    assert (await sync.system_from_rtc()).rtc is not None
    assert (tmp_path / "did").read_text() == "--systohc\n--hctosys\n"


async def test_nothing_is_set_unless_the_settings_allow_it(made, tmp_path):
    program(tmp_path, "hwclock", f"touch {tmp_path}/did")
    for sync in (made(may_set=False), made(may_set=False, sudo=True)):
        for act in (sync.rtc_from_system, sync.system_from_rtc):
            with pytest.raises(ClockRightsError, match="may_set"):
                await act()
    assert not (tmp_path / "did").exists()


async def test_a_good_clock_is_not_set_from_a_worse_one(made, tmp_path):
    program(tmp_path, "chronyc", f'echo "{GOOD}"')
    with pytest.raises(ClockKeptError, match="chrony"):
        await made().system_from_rtc()


async def test_no_hardware_clock_or_one_without_battery(made, tmp_path):
    with pytest.raises(NoHardwareClockError):
        await made().system_from_rtc()
    (tmp_path / "since_epoch").write_text("3600")
    with pytest.raises(HardwareClockWrongError, match="battery"):
        await made().system_from_rtc()


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("pool.ntp.org", ("pool.ntp.org", 123)),
        ("10.0.0.1:1123", ("10.0.0.1", 1123)),
        ("[::1]:99", ("::1", 99)),
        ("[::1]", ("::1", 123)),
    ],
)
def test_servers(text, server):
    assert server_of(text) == server


@given(st.text())
def test_any_server_is_one_or_refused(text):
    try:
        host, port = server_of(text)
    except BadInputError:
        return
    assert host
    assert 1 <= port <= 65535


@pytest.mark.parametrize(
    "bad", [{"poll_s": 0}, {"most_off_s": -1}, {"ntp_server": "a b"}, {"ntp_server": "a:0"}]
)
def test_settings_that_make_no_sense(bad):
    with pytest.raises(BadInputError):
        ClockSettings(**bad)
