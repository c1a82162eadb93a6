"""Values that look alive and are never random: pure functions of time, so that a test knows the exact value."""

from __future__ import annotations

import math


def cyclic(now: float, *, cycle_s: float, minimum: float, maximum: float) -> float:
    """Rises from `minimum` to `maximum` over the first half of the cycle and is back at `minimum` at its end."""
    phase = (now % cycle_s) / cycle_s
    part = 2 * phase if phase <= 0.5 else 2 * (1 - phase)
    return _within(minimum + (maximum - minimum) * part, minimum, maximum)


def linear(now: float, *, slope_per_s: float, minimum: float, maximum: float) -> float:
    """Climbs from `minimum` by `slope_per_s` and begins anew at `maximum`; with a negative slope it falls instead."""
    span = maximum - minimum
    if span <= 0:
        return minimum
    way = math.fmod(now * abs(slope_per_s), span)
    way = way + span if way < 0 else way
    return _within(minimum + way if slope_per_s >= 0 else maximum - way, minimum, maximum)


def _within(value: float, minimum: float, maximum: float) -> float:
    return min(max(value, minimum), maximum)
