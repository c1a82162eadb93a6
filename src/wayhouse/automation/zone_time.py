"""What a zone's clocks show, and the stretches that they skip or show twice. Pure; called by `occurrence`.

Rule: times without a zone are what clocks on the wall show; an instant is whole Unix seconds. PEP 495's `fold` tells the
two passes of a stretch that is shown twice: 0 the first, 1 the second.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the zero of what clocks show


class Turn(NamedTuple):
    """Clocks are set at the instant `at`; they skip, or show twice, the times from `first` up to but without `end`."""

    at: int
    first: datetime
    end: datetime
    is_gap: bool


def shown(instant: float, zone: tzinfo) -> datetime:
    """What clocks show at that instant, without a zone, with its `fold`."""
    return datetime.fromtimestamp(instant // 1, zone).replace(tzinfo=None)


def instant_of(time: datetime, zone: tzinfo, fold: int = 0) -> int:
    """The instant when clocks show `time`."""
    return _seconds(time) - _offset(time, zone, fold)


def turn_at(time: datetime, zone: tzinfo) -> Turn | None:
    """How clocks are set around `time`; None when they show it exactly once."""
    before, after = _offset(time, zone, 0), _offset(time, zone, 1)
    if before == after:
        return None
    low, high = sorted((before, after))
    at = _first_with(after, _seconds(time) - high, _seconds(time) - low, zone)
    return Turn(at, EPOCH + timedelta(seconds=at + low), EPOCH + timedelta(seconds=at + high), after > before)


def _first_with(offset: int, before: int, after: int, zone: tzinfo) -> int:
    """The first instant of (before, after] from which the zone is `offset` seconds ahead."""
    while after - before > 1:
        middle = (before + after) // 2
        ahead = datetime.fromtimestamp(middle, UTC).astimezone(zone).utcoffset() or timedelta()
        if ahead // timedelta(seconds=1) == offset:
            after = middle
        else:
            before = middle
    return after


def _offset(time: datetime, zone: tzinfo, fold: int) -> int:
    ahead = time.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()
    return ahead // timedelta(seconds=1)


def _seconds(time: datetime) -> int:
    return (time.replace(fold=0) - EPOCH) // timedelta(seconds=1)
