"""When a schedule is next, and when it last was: pure functions of an instant and a place. Called by `cron`.

Rule (docs/decisions/0016-time.md): a line that names hours runs once for each time it names: those that clocks skip at the end of
the gap, those that they show twice at the first. A line of each hour runs whenever clocks show its minute.
"""

from __future__ import annotations

import functools
from datetime import date, timedelta, tzinfo

from wayhouse.automation import sun
from wayhouse.automation.line import line_of
from wayhouse.automation.model import Place, zone_of
from wayhouse.automation.schedule import Calendar, Every, Schedule, Sun
from wayhouse.automation.zone_time import DAY_S, shown, stretch_at

EARLIEST, LATEST = 0.0, 221_845_392_000.0
"""The years 1970 to 9000; outside nothing occurs."""
FIRST_DAY = date(1970, 1, 1)


def next_after(schedule: Schedule, instant: float, place: Place) -> float | None:
    """The first occurrence after `instant`; None if there is none (within 50 years, for the sun within one).

    Raises `BadScheduleError` for the sun at a place that is not known.
    """
    if not EARLIEST <= instant < LATEST:
        return None
    if isinstance(schedule, Every):
        return instant + schedule.period_s
    if isinstance(schedule, Sun):
        return _next_sun(schedule, instant, place)
    if isinstance(schedule, Calendar):
        return _next_calendar(schedule, int(instant // 1), zone_of(place.zone))
    return None


def last_until(schedule: Schedule, instant: float, since: float, place: Place) -> float | None:
    """The last occurrence that is after `since` and not after `instant`, in few steps however many there are."""
    found = next_after(schedule, since, place)
    if found is None or found > instant:
        return None
    low, high, reach = found, instant, 1.0
    while instant - reach > low:  # what occurs often is found near the end
        near = next_after(schedule, instant - reach, place)
        if near is not None and near <= instant:
            low = near
            break
        high, reach = instant - reach, reach * 4
    while high - low > 1:
        middle = (low + high) / 2
        near = next_after(schedule, middle, place)
        if near is not None and near <= instant:
            low = max(low, near)
        else:
            high = middle
    following = next_after(schedule, low, place)
    return low if following is None or following > instant else following


def preview(schedule: Schedule, instant: float, place: Place, many: int) -> list[float]:
    """The first `many` occurrences after `instant`. Raises `BadScheduleError` as `next_after` does."""
    found = list[float]()
    while len(found) < many:
        at = next_after(schedule, found[-1] if found else instant, place)
        if at is None:
            break
        found.append(at)
    return found


def _next_sun(schedule: Sun, instant: float, place: Place) -> float | None:
    day = FIRST_DAY + timedelta(days=shown(instant - schedule.offset_s, zone_of(place.zone)) // DAY_S - 1)
    for moment in sun.moments(schedule.phase, place, day):
        if moment + schedule.offset_s > instant:
            return float(moment + schedule.offset_s)
    return None


@functools.lru_cache(maxsize=256)
def _next_calendar(schedule: Calendar, instant: int, zone: tzinfo) -> float | None:
    """Remembered, since many jobs of one line are due together."""
    line, is_each_hour = line_of(schedule.expression), schedule.is_each_hour
    stretch = stretch_at(instant, zone)
    while True:
        time = instant + stretch.offset
        found = line.after(time if is_each_hour else max(time, stretch.news - 1))
        if found is None:
            return None
        if found < stretch.end + stretch.offset:
            return float(found - stretch.offset)
        following = stretch_at(stretch.end, zone)
        if not is_each_hour and found < following.begin + following.offset:
            return float(following.begin)
        instant, stretch = following.begin - 1, following
