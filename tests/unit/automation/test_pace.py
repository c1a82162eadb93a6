"""How often a run may ask."""

from __future__ import annotations

from wayhouse.automation.pace import Pace
from wayhouse.base.clock import ManualClock


async def test_fast_for_a_while_then_so_often_a_second() -> None:
    clock = ManualClock()
    pace, begin = Pace(clock, burst=10, per_s=5), clock.monotonic()
    for _ in range(10):
        await pace.turn()
    assert clock.monotonic() == begin
    for _ in range(50):
        await pace.turn()
    assert 9.9 < clock.monotonic() - begin < 10.1
    clock.advance(1000)
    later = clock.monotonic()
    for _ in range(10):
        await pace.turn()
    assert clock.monotonic() == later
