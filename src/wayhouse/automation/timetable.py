"""What is due first among many, without looking at all of them. A machine's part: times are numbers.

Used by `cron`. Rule: whoever is due at another time is lined up again; what was said of it before is passed over, since it does not hold.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

SPARE = 64
"""What does not hold any more is cleared away once it is more than this and half of all."""


class Dated(Protocol):
    """`due`: at what time, `inf` is never; `number`: its place among those that are due together."""

    due: float
    number: int


D = TypeVar("D", bound=Dated)


class Timetable(Generic[D]):
    """`is_there` says whether one counts still."""

    def __init__(self, is_there: Callable[[D], bool]) -> None:
        self._is_there = is_there
        self._heap: list[tuple[float, int, D]] = []
        self._count = itertools.count()
        self._most = SPARE

    def line_up(self, one: D) -> None:
        """After its `due` was set; once for each time."""
        if one.due < math.inf:
            heapq.heappush(self._heap, (one.due, next(self._count), one))
        if len(self._heap) > self._most:
            self._heap = [entry for entry in self._heap if self._holds(entry)]
            heapq.heapify(self._heap)
            self._most = 2 * len(self._heap) + SPARE

    def first(self) -> float:
        """`inf`: nothing is due ever."""
        while self._heap and not self._holds(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def due(self, now: float) -> list[D]:
        """Those whose time has come, by their numbers. They are to be lined up again."""
        found = list[D]()
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if self._holds(entry):
                found.append(entry[2])
        return sorted(found, key=lambda one: one.number)

    def clear(self) -> None:
        """All are to be lined up again."""
        self._heap.clear()

    def _holds(self, entry: tuple[float, int, D]) -> bool:
        due, _, one = entry
        return one.due == due and self._is_there(one)
