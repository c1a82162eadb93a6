"""When jobs are due, found by looking at a clock each quarter of an hour: the plain way, to check the quick one against.

Knows neither cron expressions nor the product: a line is a function of what the clock shows.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

QUARTER = timedelta(minutes=15)
Line = Callable[[datetime], bool]


class Brought(NamedTuple):
    """A time that the instant brings: the one that the clock shows, or one that it skipped to show that."""

    instant: float
    time: datetime
    is_skipped: bool


def look(zone: str, start: float, end: float) -> list[Brought]:
    """What each quarter of an hour after `start` brings."""
    here = zoneinfo.ZoneInfo(zone)
    before, instant, found = datetime.fromtimestamp(start, here), start + 900, list[Brought]()
    while instant <= end:
        now = datetime.fromtimestamp(instant, here)
        skipped = before + QUARTER  # of times of one zone it is what clocks show that is counted and compared
        while skipped < now:
            found.append(Brought(instant, skipped, is_skipped=True))
            skipped += QUARTER
        found.append(Brought(instant, now, is_skipped=False))
        before = now
        instant += 900
    return found


def due(clock: Sequence[Brought], line: Line) -> list[float]:
    """Of a line that names hours: what is skipped is due once at the end of the gap, what is shown twice at the first."""
    matching = (one.instant for one in clock if line(one.time) and not one.time.fold)
    return list(dict.fromkeys(matching))


def due_each_hour(clock: Sequence[Brought], line: Line) -> list[float]:
    """Of a line that leaves no hour out: whenever the clock shows it."""
    return [one.instant for one in clock if line(one.time) and not one.is_skipped]
