"""The clock of the tests moves when told; the system's own does what it says."""

from __future__ import annotations

from wayhouse.base.clock import ManualClock, SystemClock


async def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(100.0)
    assert (clock.wall(), clock.monotonic()) == (100.0, 100.0)
    clock.advance(5)
    await clock.sleep(3600)
    await clock.sleep(-1)
    assert clock.monotonic() == 3705.0


async def test_the_system_clock_goes_on() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.wall() > 1_700_000_000
