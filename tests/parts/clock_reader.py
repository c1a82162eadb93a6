"""When jobs are due, found by looking at a clock each quarter of an hour: the slow and plain way, to check the quick one against.

Knows neither cron expressions nor the product: a line is a function of what the clock shows.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

QUARTER = timedelta(minutes=15)
Line = Callable[[datetime], bool]


def look(zone: str, start: float, end: float) -> Iterator[tuple[float, list[datetime], bool]]:
    """(instant, times that it brings, whether they are shown for the second time) of each quarter of an hour after `start`.

    An instant brings what the clock shows, and what it skipped to show that.
    """
    here = zoneinfo.ZoneInfo(zone)
    before = datetime.fromtimestamp(start, here).replace(tzinfo=None)
    instant = start + 900
    while instant <= end:
        now = datetime.fromtimestamp(instant, here).replace(tzinfo=None)
        brought = [now.replace(fold=0)]
        while before + QUARTER < brought[0]:
            brought.insert(0, brought[0] - QUARTER)
        yield instant, brought, now.fold == 1
        before = now.replace(fold=0)
        instant += 900


def due(clock: list[tuple[float, list[datetime], bool]], line: Line) -> list[float]:
    """Of a line that names hours: what is skipped is due once at the end of the gap, what is shown twice at the first."""
    return [
        instant for instant, brought, is_again in clock if not is_again and any(line(one) for one in brought)
    ]


def due_each_hour(clock: list[tuple[float, list[datetime], bool]], line: Line) -> list[float]:
    """Of a line that leaves no hour out: whenever the clock shows it."""
    return [instant for instant, brought, _ in clock if line(brought[-1])]
