"""What a zone's clocks show, as stretches between the moments at which they are set. Pure; called by `occurrence`.

Rule: what clocks on the wall show is counted as if it were UTC, in whole seconds since 1970 began; an instant is whole Unix seconds.
A zone's offset is asked for once a day of a window, not at each question, and the window is remembered.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

DAY_S = 86400
WINDOW_S = 128 * DAY_S
LOOK_BACK_S = 2 * DAY_S
"""Clocks have never been set back by as much since 1970."""


class Stretch(NamedTuple):
    """From the instant `begin` up to but without `end` clocks are `offset` seconds ahead of UTC. What they show there before `news` they
    have shown already. At `end` they are set, or it is only as far as was looked."""

    begin: int
    end: int
    offset: int
    news: int


def stretch_at(instant: int, zone: tzinfo) -> Stretch:
    for one in _window(instant // WINDOW_S, zone):
        if instant < one.end:
            return one
    raise AssertionError(instant)


def shown(instant: float, zone: tzinfo) -> int:
    """What clocks show then."""
    second = int(instant // 1)
    return second + stretch_at(second, zone).offset


@functools.lru_cache(maxsize=1024)
def _window(number: int, zone: tzinfo) -> tuple[Stretch, ...]:
    """All of a span of time. Between two changes of a zone there was always more than a day (a week is the least known)."""
    first, end = number * WINDOW_S, (number + 1) * WINDOW_S
    begin = first - LOOK_BACK_S
    offset = _offset(begin, zone)
    news = begin + offset
    found = list[Stretch]()
    for probe in range(begin + DAY_S, end + 1, DAY_S):
        after = _offset(probe, zone)
        if after == offset:
            continue
        at = _set_at(offset, probe - DAY_S, probe, zone)
        found.append(Stretch(begin, at, offset, news))
        begin, offset, news = at, after, max(news, at + offset)
    found.append(Stretch(begin, end, offset, news))
    return tuple(one._replace(begin=max(one.begin, first)) for one in found if one.end > first)


def _set_at(offset: int, before: int, after: int, zone: tzinfo) -> int:
    """The first instant of (before, after] from which the zone is no more `offset` seconds ahead."""
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset(instant: int, zone: tzinfo) -> int:
    ahead = datetime.fromtimestamp(instant, UTC).astimezone(zone).utcoffset() or timedelta()
    return ahead // timedelta(seconds=1)
