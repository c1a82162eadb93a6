"""A chart of numbers in a terminal: columns of block characters with an axis. Pure; `device history --graph` draws it."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:-=+*##"
AXIS, ASCII_AXIS = "┤", "|"
MIN_WIDTH = 8


def chart(
    values: Sequence[float | None], *, height: int = 10, blocks: str = BLOCKS, unit: str = ""
) -> list[str]:
    """Lines from the top down; one column for each value, None is an empty one. The lowest value still shows."""
    known = [one for one in values if one is not None]
    if not known:
        return []
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    fills = [None if one is None else max(0.125, (one - low) / span * height) for one in values]
    axis = AXIS if blocks == BLOCKS else ASCII_AXIS
    labels = _labels(low, high, height, unit)
    width = max(map(len, labels))
    return [
        f"{labels[row].rjust(width)} {axis}{''.join(_cell(fill, height - 1 - row, blocks) for fill in fills)}".rstrip()
        for row in range(height)
    ]


def columns(
    points: Sequence[tuple[float, float]], start: float, end: float, width: int
) -> list[float | None]:
    """(time, value) as `width` columns: the mean of what falls into each."""
    width = max(MIN_WIDTH, width)
    sums: list[list[float]] = [[] for _ in range(width)]
    for time, value in points:
        at = int((time - start) / max(end - start, 1e-9) * width)
        sums[min(max(at, 0), width - 1)].append(value)
    return [math.fsum(one) / len(one) if one else None for one in sums]


def _cell(fill: float | None, row: int, blocks: str) -> str:
    """What of a column is seen in a row; rows count from the bottom."""
    if fill is None:
        return " "
    return blocks[round(min(max(fill - row, 0.0), 1.0) * 8)]


def _labels(low: float, high: float, height: int, unit: str) -> list[str]:
    """At the top, in the middle and at the bottom."""
    marks = {0: high, height // 2: (low + high) / 2, height - 1: low}
    return [f"{marks[row]:.4g}{f' {unit}' if unit else ''}" if row in marks else "" for row in range(height)]
