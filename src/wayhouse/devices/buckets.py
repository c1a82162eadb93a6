"""Numbers as buckets of minimum, mean and maximum in several steps of time. Pure; `readings` keeps them on disk.

An archive has a fixed number of slots and time chooses the slot, so what is kept cannot grow with the time it runs.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Sequence

import msgspec


class Archive(msgspec.Struct, frozen=True):
    """`slots` buckets of `step_s` seconds."""

    step_s: int
    slots: int

    @property
    def span_s(self) -> int:
        return self.step_s * self.slots


class Bucket(msgspec.Struct, frozen=True):
    """`step_s` seconds from `time` (Unix seconds), with the `count` numbers that fell into them."""

    time: float
    step_s: int
    count: int
    minimum: float
    mean: float
    maximum: float


class Sum(msgspec.Struct):
    """What is known of the numbers of one bucket."""

    count: int
    low: float
    total: float
    high: float

    def add(self, number: float) -> None:
        self.count += 1
        self.total += number
        if number < self.low:
            self.low = number
        elif number > self.high:
            self.high = number

    def absorb(self, other: Sum) -> None:
        self.count += other.count
        self.total += other.total
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)

    def bucket(self, step_s: int, number: int) -> Bucket:
        mean = min(max(self.total / self.count, self.low), self.high)
        return Bucket(number * step_s, step_s, self.count, self.low, mean, self.high)


ARCHIVES = (
    Archive(60, 24 * 60),  # a day of minutes
    Archive(300, 7 * 288),  # a week
    Archive(1800, 31 * 48),  # a month
    Archive(6 * 3600, 366 * 4),  # a year
)
MAX_TIME = 2**40
MAX_NUMBER = 1e300


def is_kept(time: float, number: float) -> bool:
    """Whether a number can be history: finite, not beyond +-1e300, at a time that makes sense."""
    return math.isfinite(number) and abs(number) <= MAX_NUMBER and 0 <= time < MAX_TIME


class Folds:
    """The buckets that are still open in memory, by series: of each step, a sum by the bucket's number."""

    def __init__(self, archives: Sequence[Archive]) -> None:
        self._steps = tuple(one.step_s for one in archives)
        self._by_series: dict[int, dict[tuple[int, int], Sum]] = {}
        self._size = 0

    def __len__(self) -> int:
        """How many buckets there are."""
        return self._size

    def add(self, series: int, time: float, number: float) -> None:
        sums = self._by_series.setdefault(series, {})
        for step in self._steps:
            key = (step, int(time // step))
            found = sums.get(key)
            if found is None:
                sums[key] = Sum(1, number, number, number)
                self._size += 1
            else:
                found.add(number)

    def absorb(self, other: Folds) -> None:
        for series, key, one in other.all():
            self._put(series, key, one)

    def forget(self, series: int) -> None:
        self._size -= len(self._by_series.pop(series, ()))

    def keep_only(self, known: Container[int]) -> None:
        for series in [one for one in self._by_series if one not in known]:
            self.forget(series)

    def all(self) -> Iterator[tuple[int, tuple[int, int], Sum]]:
        """(series, (step, bucket), sum)."""
        for series, sums in self._by_series.items():
            for key, one in sums.items():
                yield series, key, one

    def between(self, series: int, step_s: int, first: int, last: int) -> dict[int, Sum]:
        """The sums of one step, by bucket, from `first` to `last`."""
        sums = self._by_series.get(series, {})
        return {
            number: one for (step, number), one in sums.items() if step == step_s and first <= number <= last
        }

    def _put(self, series: int, key: tuple[int, int], one: Sum) -> None:
        sums = self._by_series.setdefault(series, {})
        found = sums.get(key)
        if found is None:
            sums[key] = one
            self._size += 1
        else:
            found.absorb(one)
