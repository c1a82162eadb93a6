"""A device's history as its page wants it: the ranges to choose from, the columns of a chart, a file for a spreadsheet."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from wayhouse.devices.buckets import Bucket
from wayhouse.portal import formats

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class Span(msgspec.Struct, frozen=True):
    """How far back, and in how many points at most."""

    name: str
    label: str
    seconds: float
    points: int


RANGES = (
    Span("day", "Day", DAY_S, 1500),
    Span("week", "Week", 7 * DAY_S - HOUR_S, 2016),
    Span("month", "Month", 31 * DAY_S - HOUR_S, 1500),
    Span("year", "Year", 366 * DAY_S - DAY_S / 2, 1500),
)
"""A little less than what the store keeps in each step, so that the finest step is the one that is shown."""


class Found(msgspec.Struct, frozen=True):
    """`buckets` from `start` to `end`, in Unix seconds."""

    start: float
    end: float
    buckets: Sequence[Bucket]


def span_named(name: str) -> Span:
    """The first one for a name that is unknown."""
    return next((one for one in RANGES if one.name == name), RANGES[0])


def columns(found: Found, unit: str) -> dict[str, Any]:
    """Columns for a chart; where buckets are missing in between there is one row of nulls, so that the line breaks."""
    rows: list[tuple[float, float | None, float | None, float | None]] = []
    before: Bucket | None = None
    gap_s = _gap_s(found.buckets)
    for one in found.buckets:
        if before is not None and one.time - before.time > gap_s:
            rows.append((before.time + before.step_s, None, None, None))
        rows.append((one.time, _short(one.minimum), _short(one.mean), _short(one.maximum)))
        before = one
    names = ("time", "low", "mean", "high")
    table = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    return {"start": found.start, "end": found.end, "unit": unit, **table, **_summary(found.buckets)}


def csv(buckets: Sequence[Bucket]) -> str:
    lines = ["time,seconds,count,minimum,mean,maximum"]
    lines += [
        f"{formats.iso(one.time)},{one.step_s},{one.count},{one.minimum!r},{one.mean!r},{one.maximum!r}"
        for one in buckets
    ]
    return "\n".join(lines) + "\n"


def file_name(device: str, command: str) -> str:
    """A name that every system takes."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", f"{device}-{command}").strip("-")[:80] + ".csv"


def _summary(buckets: Sequence[Bucket]) -> dict[str, Any]:
    """What the chart says, in three numbers; None where there is no history."""
    if not buckets:
        return {"lowest": None, "average": None, "highest": None}
    count = sum(one.count for one in buckets)
    mean = sum(one.mean * (one.count / count) for one in buckets)
    lowest, highest = min(one.minimum for one in buckets), max(one.maximum for one in buckets)
    return {"lowest": _short(lowest), "average": _short(mean), "highest": _short(highest)}


def _gap_s(buckets: Sequence[Bucket]) -> float:
    """More than this between two buckets is a time without readings: three times what is usual for this device."""
    apart = sorted(later.time - one.time for one, later in itertools.pairwise(buckets))
    return 3.5 * apart[len(apart) // 2] if apart else 0.0


def _short(number: float) -> float:
    """Six digits are more than a chart shows."""
    return float(f"{number:.6g}")
