"""Counters as rates: what a number becomes before it goes into history, in RRD's four ways. Pure; readings call it."""

from __future__ import annotations

from wayhouse.devices.command import DataSource

WRAPS = (2**32, 2**64)


def next_number(
    kind: DataSource, before: tuple[float, float] | None, time: float, value: float
) -> float | None:
    """The number to keep for `value` at `time` when `before` is the (time, value) seen last.

    GAUGE keeps the value. COUNTER gives its growth per second and knows that counters wrap at 32 or 64 bits, DERIVE
    gives growth that may be negative, ABSOLUTE divides by the time since. None: nothing can be said yet.
    """
    if kind is DataSource.GAUGE:
        return value
    if before is None or time <= before[0]:
        return None
    elapsed = time - before[0]
    if kind is DataSource.ABSOLUTE:
        return value / elapsed
    growth = value - before[1]
    if kind is DataSource.COUNTER and growth < 0:
        wrapped = next((growth + size for size in WRAPS if before[1] < size <= before[1] + size // 2), None)
        if wrapped is None:
            return None  # it began anew
        growth = wrapped
    return growth / elapsed
