"""Graph data: the history of several values side by side, and the spans that are asked for by name. Pure data."""

from __future__ import annotations

from typing import Literal

import msgspec

from wayhouse.base.errors import BadInputError
from wayhouse.devices.buckets import Bucket

MAX_SERIES_SHOWN = 16
Span = Literal["day", "week", "month", "year"]
SPANS: dict[str, float] = {"day": 86_400.0, "week": 604_800.0, "month": 2_678_400.0, "year": 31_622_400.0}
"""Seconds; each is what one of the archives keeps, at least."""


class Line(msgspec.Struct, frozen=True):
    """The history of one value. `key` is how it was asked for, `name` the device's name now."""

    key: str
    name: str
    command: str
    unit: str
    buckets: tuple[Bucket, ...]

    @property
    def title(self) -> str:
        return self.name if self.command == "value" else f"{self.name} {self.command}"


class Graph(msgspec.Struct, frozen=True):
    """From `start` to `end` in Unix seconds."""

    start: float
    end: float
    lines: tuple[Line, ...]


def span_s(name: str) -> float:
    """Seconds of "day", "week", "month" or "year". Raises `BadInputError`."""
    if name not in SPANS:
        raise BadInputError(f"`range` is one of {', '.join(SPANS)}.", path="range")
    return SPANS[name]
