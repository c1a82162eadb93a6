"""The history of numbers: round-robin archives of minimum, mean and maximum, in SQLite.

Adding a number never waits: `Recorder` writes what has come to the journal, at most a second later, in one commit for
all. Every quarter of an hour the journal is summed up into the archives, so a slot is written once in that time and not
once for each number; answers contain both. The size is fixed by construction: `MAX_SERIES` times the sum of the slots.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

from wayhouse.base.database import Connection, Database
from wayhouse.base.errors import BadInputError
from wayhouse.devices.buckets import ARCHIVES, MAX_TIME, Archive, Bucket, Folds, Sum, is_kept
from wayhouse.devices.model import TooManyDevicesError
from wayhouse.devices.reading_table import Entry, ReadingTable, SeriesKey

MAX_SERIES = 1024
MAX_BUCKETS = 2016
ROLL_UP_S = 900.0
MAX_JOURNAL = 20_000
MAX_OPEN = 200_000
"""Buckets in memory. There are as many only if nothing can be written for hours."""


class Readings:
    """The archives must not change once there is a database: their steps are part of its keys.

    `begin` and `end` make it a `recorder.Book`.
    """

    def __init__(self, database: Database, archives: Sequence[Archive] = ARCHIVES) -> None:
        self._database = database
        self._archives = tuple(sorted(archives, key=lambda one: one.step_s))
        self._table = ReadingTable(database, self._archives)
        self._series = self._table.series()
        self._next_series = max(self._series.values(), default=0) + 1
        self._new: dict[SeriesKey, int] = {}
        self._waiting: list[Entry] = []
        self._at_work: tuple[Entry, ...] = ()
        self._new_at_work: tuple[tuple[SeriesKey, int], ...] = ()
        self._folds = Folds(self._archives)
        self._rolling: Folds | None = None
        self._rollups = self._table.rollups()
        self._last_id = self._written_id = 0
        """Of the journal's newest row, as it is known here and in the database's thread."""
        self._journaled = 0
        self._rolled_at: float | None = None
        self._load()

    def add(self, device_id: str, command: str, time: float, number: float) -> None:
        """Take a number in; it is on disk a second later. Numbers that are not finite or are beyond +-1e300 are left out.

        Raises `TooManyDevicesError` when there is no room for another series.
        """
        if not is_kept(time, number) or len(self._folds) >= MAX_OPEN:
            return
        series = self._series.get((device_id, command)) or self._add_series((device_id, command))
        self._folds.add(series, time, float(number))
        self._waiting.append((series, time, float(number)))

    def between(
        self, device_id: str, command: str, start: float, end: float, *, now: float, points: int = MAX_BUCKETS
    ) -> list[Bucket]:
        """Buckets that touch `start` to `end` (Unix seconds), oldest first: of the finest archive that reaches
        back to `start` in at most `points`, else the newest of the coarsest. Empty buckets are left out. Raises `BadInputError`."""
        _check_range(start, end, points)
        end = min(end, now)
        archive = self._choose(start, end, now, points)
        newest = int(now // archive.step_s)
        last = int(end // archive.step_s)
        first = max(int(start // archive.step_s), newest - archive.slots + 1, last - points + 1)
        series = self._series.get((device_id, command))
        if series is None:
            return []
        sums = self._sums(series, archive.step_s, first, last)
        return [sums[number].bucket(archive.step_s, number) for number in sorted(sums)]

    async def forget(self, device_id: str) -> None:
        """Drop all series of a device."""
        for key in [key for key in self._series if key[0] == device_id]:
            series = self._series.pop(key)
            self._new.pop(key, None)
            self._folds.forget(series)
            self._waiting = [one for one in self._waiting if one[0] != series]
        await self._database.write(lambda connection: self._table.forget(connection, device_id))

    def begin(self, now: float | None) -> Callable[[Connection], None] | None:
        """What waits, as one write; None if nothing does. `now` is on the monotonic clock, None at the end of the process.
        `end` must follow."""
        rolls = now is not None and self._must_roll(now)
        if not (self._waiting or rolls):
            return None
        self._at_work, self._waiting = tuple(self._waiting), []
        self._new_at_work = tuple(self._new.items())
        if rolls:
            self._rolling, self._folds = self._folds, Folds(self._archives)
        return functools.partial(self._write, self._new_at_work, self._at_work, self._rolling)

    def end(self, *, is_kept: bool) -> None:
        """How it went. What is not on disk now waits again."""
        rolling, self._rolling = self._rolling, None
        entries, self._at_work = self._at_work, ()
        if not is_kept:
            self._take_back(entries, rolling)
            return
        for key, _ in self._new_at_work:
            self._new.pop(key, None)
        self._last_id = self._written_id
        self._journaled = 0 if rolling is not None else self._journaled + len(entries)
        self._rollups += rolling is not None

    def _must_roll(self, now: float) -> bool:
        self._rolled_at = now if self._rolled_at is None else self._rolled_at
        is_full = self._journaled + len(self._waiting) > MAX_JOURNAL
        is_time = self._journaled > 0 and now - self._rolled_at >= ROLL_UP_S
        if is_full or is_time:
            self._rolled_at = now
        return is_full or is_time

    def _write(
        self,
        new: tuple[tuple[SeriesKey, int], ...],
        entries: tuple[Entry, ...],
        rolling: Folds | None,
        connection: Connection,
    ) -> None:
        """In the database's thread. What is summed up needs no journal."""
        self._table.add_series(connection, new)
        if rolling is None:
            self._written_id = self._table.append(connection, entries)
        else:
            self._table.roll_up(connection, rolling, self._last_id)

    def _take_back(self, entries: tuple[Entry, ...], rolling: Folds | None) -> None:
        known = set(self._series.values())
        if rolling is not None:
            rolling.absorb(self._folds)
            self._folds = rolling
            self._folds.keep_only(known)
        kept = [one for one in (*entries, *self._waiting) if one[0] in known]
        self._waiting = kept[-MAX_JOURNAL:]

    def _load(self) -> None:
        """What a crash left in the journal."""
        for number, series, time, value in self._table.journal():
            self._folds.add(series, time, value)
            self._last_id = self._written_id = number
            self._journaled += 1

    def _sums(self, series: int, step_s: int, first: int, last: int) -> dict[int, Sum]:
        """Those on disk and those still in memory, each number counted once."""
        rollups, sums = self._table.between(series, step_s, first, last)
        open_ = [self._folds]
        if self._rolling is not None and rollups == self._rollups:  # it is not on disk yet
            open_.append(self._rolling)
        for folds in open_:
            for number, one in folds.between(series, step_s, first, last).items():
                sums.setdefault(number, Sum(0, one.low, 0.0, one.high)).absorb(one)
        return sums

    def _choose(self, start: float, end: float, now: float, points: int) -> Archive:
        for archive in self._archives:
            count = end // archive.step_s - start // archive.step_s + 1
            if now - start <= archive.span_s and count <= points:
                return archive
        return self._archives[-1]

    def _add_series(self, key: SeriesKey) -> int:
        if len(self._series) >= MAX_SERIES:
            raise TooManyDevicesError(
                f"History is kept of at most {MAX_SERIES} values. Switch it off (log) for a device that needs none."
            )
        series, self._next_series = self._next_series, self._next_series + 1
        self._series[key] = self._new[key] = series
        return series


def _check_range(start: float, end: float, points: int) -> None:
    if not all(math.isfinite(time) and abs(time) < MAX_TIME for time in (start, end)) or start > end:
        raise BadInputError(
            "Readings are asked from a start to an end in Unix seconds; the start comes first."
        )
    if not 0 < points <= MAX_BUCKETS:
        raise BadInputError(f"Ask for 1 to {MAX_BUCKETS} points.", path="points")
