"""The history of numbers: round-robin archives of minimum, mean and maximum, in SQLite.

A series has a fixed number of slots in every archive, and time chooses the slot, so the tables cannot grow beyond
`MAX_SERIES` times the sum of the slots, however long it runs. A slot belongs to the newest bucket written to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from wayhouse.base.database import Connection, Database, Row
from wayhouse.base.errors import BadInputError
from wayhouse.devices.model import TooManyDevicesError


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


ARCHIVES = (
    Archive(60, 24 * 60),  # a day of minutes
    Archive(300, 7 * 288),  # a week
    Archive(1800, 31 * 48),  # a month
    Archive(6 * 3600, 366 * 4),  # a year
)
MAX_SERIES = 512
MAX_BUCKETS = 2016
MAX_TIME = 2**40
MAX_NUMBER = 1e300

SCHEMA = (
    """
    CREATE TABLE reading_series (
        id INTEGER PRIMARY KEY, device_id TEXT NOT NULL, command TEXT NOT NULL, UNIQUE (device_id, command));
    CREATE TABLE reading_slots (
        series INTEGER NOT NULL REFERENCES reading_series ON DELETE CASCADE, step INTEGER NOT NULL,
        slot INTEGER NOT NULL, bucket INTEGER NOT NULL, count INTEGER NOT NULL,
        low REAL NOT NULL, total REAL NOT NULL, high REAL NOT NULL,
        PRIMARY KEY (series, step, slot)) WITHOUT ROWID;
    """,
)
_PUT = """
    INSERT INTO reading_slots VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5, ?5) ON CONFLICT (series, step, slot) DO UPDATE SET
        low = iif(bucket = excluded.bucket, min(low, excluded.low), excluded.low),
        high = iif(bucket = excluded.bucket, max(high, excluded.high), excluded.high),
        total = iif(bucket = excluded.bucket, total + excluded.total, excluded.total),
        count = iif(bucket = excluded.bucket, count + 1, 1),
        bucket = excluded.bucket
"""
_RANGE = """
    SELECT bucket, count, low, total, high FROM reading_slots JOIN reading_series ON series = id
    WHERE device_id = ? AND command = ? AND step = ? AND bucket BETWEEN ? AND ? ORDER BY bucket
"""


class Readings:
    """The archives must not change once there is a database: their steps are part of its keys."""

    def __init__(self, database: Database, archives: Sequence[Archive] = ARCHIVES) -> None:
        self._database = database
        self._archives = tuple(sorted(archives, key=lambda one: one.step_s))
        database.migrate("readings", SCHEMA)

    async def record(self, device_id: str, command: str, time: float, number: float) -> None:
        """On disk when it returns; numbers that are not finite or are beyond +-1e300 are left out.

        Raises `TooManyDevicesError` when there is no room for another series, `UnavailableError` from the database.
        """
        if not (math.isfinite(number) and abs(number) <= MAX_NUMBER and 0 <= time < MAX_TIME):
            return
        rows = [
            (one.step_s, int(time // one.step_s) % one.slots, int(time // one.step_s), float(number))
            for one in self._archives
        ]

        def work(connection: Connection) -> None:
            series = _series(connection, device_id, command)
            connection.executemany(_PUT, [(series, *row) for row in rows])

        await self._database.write(work)

    def between(
        self, device_id: str, command: str, start: float, end: float, *, now: float, points: int = MAX_BUCKETS
    ) -> list[Bucket]:
        """Buckets that touch `start` to `end` (Unix seconds), oldest first: of the finest archive that reaches
        back to `start` in at most `points`, else the newest of the coarsest. Empty buckets are left out. Raises `BadInputError`."""
        _check_range(start, end, points)
        end = min(end, now)
        archive = self._choose(start, end, now, points)
        newest = int(now // archive.step_s)
        first = max(int(start // archive.step_s), newest - archive.slots + 1)
        first = max(first, int(end // archive.step_s) - points + 1)
        found = self._database.read(
            _RANGE, (device_id, command, archive.step_s, first, int(end // archive.step_s))
        )
        return [_bucket(archive.step_s, row) for row in found]

    async def forget(self, device_id: str) -> None:
        """Drop all series of a device."""
        await self._database.write(
            lambda connection: connection.execute(
                "DELETE FROM reading_series WHERE device_id = ?", (device_id,)
            )
        )

    def _choose(self, start: float, end: float, now: float, points: int) -> Archive:
        for archive in self._archives:
            count = end // archive.step_s - start // archive.step_s + 1
            if now - start <= archive.span_s and count <= points:
                return archive
        return self._archives[-1]


def _series(connection: Connection, device_id: str, command: str) -> int:
    row = connection.execute(
        "SELECT id FROM reading_series WHERE device_id = ? AND command = ?", (device_id, command)
    ).fetchone()
    if row is not None:
        return int(row[0])
    if connection.execute("SELECT count(*) FROM reading_series").fetchone()[0] >= MAX_SERIES:
        raise TooManyDevicesError(
            f"History is kept of at most {MAX_SERIES} values. Switch it off (log) for a device that needs none."
        )
    cursor = connection.execute(
        "INSERT INTO reading_series (device_id, command) VALUES (?, ?)", (device_id, command)
    )
    return cursor.lastrowid or 0


def _bucket(step_s: int, row: Row) -> Bucket:
    number, count, low, total, high = row
    return Bucket(number * step_s, step_s, count, low, min(max(total / count, low), high), high)


def _check_range(start: float, end: float, points: int) -> None:
    if not all(math.isfinite(time) and abs(time) < MAX_TIME for time in (start, end)) or start > end:
        raise BadInputError(
            "Readings are asked from a start to an end in Unix seconds; the start comes first."
        )
    if not 0 < points <= MAX_BUCKETS:
        raise BadInputError(f"Ask for 1 to {MAX_BUCKETS} points.", path="points")
