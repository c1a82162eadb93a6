"""When a schedule is next, and when it last was: pure functions of an instant and a place. Called by `cron`.

Rule (docs/decisions/0016-time.md): a line that names hours runs once for each time it names: those that clocks skip at the end of
the gap, those that they show twice at the first. A line of each hour runs whenever clocks show its minute.
"""

from __future__ import annotations

import copy
import functools
from datetime import datetime, timedelta, tzinfo

from cronsim import CronSim

from wayhouse.automation import sun
from wayhouse.automation.model import Place, zone_of
from wayhouse.automation.schedule import Calendar, Every, Schedule, Sun
from wayhouse.automation.zone_time import EPOCH, Turn, instant_of, shown, turn_at

EARLIEST, LATEST = 0.0, 221_845_392_000.0
"""The years 1970 to 9000; outside nothing occurs."""
SECOND = timedelta(seconds=1)


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
        return _next_calendar(schedule, instant, zone_of(place.zone))
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
    day = shown(instant - schedule.offset_s, zone_of(place.zone)).date() - timedelta(days=1)
    for moment in sun.moments(schedule.phase, place, day):
        if moment + schedule.offset_s > instant:
            return float(moment + schedule.offset_s)
    return None


def _next_calendar(schedule: Calendar, instant: float, zone: tzinfo) -> float | None:
    folds = (0, 1) if schedule.is_each_hour and _is_shown_twice(instant, zone) else (0,)
    found = [_walk(schedule, instant, zone, fold) for fold in folds]
    return min((float(one) for one in found if one is not None), default=None)


def _is_shown_twice(instant: float, zone: tzinfo) -> bool:
    """From anywhere else, what comes in the first pass of such a stretch comes before its second."""
    turn = turn_at(shown(instant, zone), zone)
    return turn is not None and not turn.is_gap


def _walk(schedule: Calendar, instant: float, zone: tzinfo, fold: int) -> int | None:
    """The next occurrence, of times that are shown twice in the pass `fold`."""
    start = _start(instant, zone, fold)
    while (time := _next_shown(schedule.expression, start)) is not None:
        turn = turn_at(time, zone)
        start = time
        if turn is None or not turn.is_gap:
            found = instant_of(time, zone, fold)
        elif schedule.is_each_hour:
            start = turn.end - SECOND
            continue
        else:
            found = turn.at
        if found > instant:
            return found
    return None


def _start(instant: float, zone: tzinfo, fold: int) -> datetime:
    """The time after which to look: in the other pass of a stretch that is shown twice, its beginning or its end."""
    now = shown(instant, zone)
    turn: Turn | None = turn_at(now, zone)
    if turn is not None and not turn.is_gap and now.fold != fold:
        return (turn.first if fold else turn.end) - SECOND
    return now.replace(fold=0)


def _next_shown(expression: str, time: datetime) -> datetime | None:
    try:
        cron = copy.copy(_parsed(expression))
        cron.dt = time.replace(microsecond=0)
        return next(cron)
    except (StopIteration, OverflowError, ValueError):
        return None


@functools.lru_cache(maxsize=1024)
def _parsed(expression: str) -> CronSim:
    """To be copied: reading the line anew costs as much as finding its next time."""
    return CronSim(expression, EPOCH)
