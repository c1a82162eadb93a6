"""The tables of the history: series, their slots, and the journal of what has not been summed up into slots yet.

`readings` writes to it in transactions of its own. A slot belongs to the newest bucket written to it; the journal is
read once, at the start, and is short.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wayhouse.base.database import Connection, Database
from wayhouse.devices.buckets import Archive, Folds, Sum

SeriesKey = tuple[str, str]
"""A device's id and a command."""
Entry = tuple[int, float, float]
"""Series, Unix seconds, number."""

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
    """
    CREATE TABLE reading_journal (
        id INTEGER PRIMARY KEY, series INTEGER NOT NULL, time REAL NOT NULL, number REAL NOT NULL);
    CREATE TABLE reading_rollups (number INTEGER NOT NULL);
    INSERT INTO reading_rollups VALUES (0);
    """,
)
_PUT = """
    INSERT INTO reading_slots VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (series, step, slot) DO UPDATE SET
        low = iif(bucket = excluded.bucket, min(low, excluded.low), excluded.low),
        high = iif(bucket = excluded.bucket, max(high, excluded.high), excluded.high),
        total = iif(bucket = excluded.bucket, total + excluded.total, excluded.total),
        count = iif(bucket = excluded.bucket, count + excluded.count, excluded.count),
        bucket = excluded.bucket
"""
_RANGE = """
    SELECT (SELECT number FROM reading_rollups), bucket, count, low, total, high FROM reading_slots
    WHERE series = ? AND step = ? AND bucket BETWEEN ? AND ?
"""


class ReadingTable:
    def __init__(self, database: Database, archives: Sequence[Archive]) -> None:
        self._database = database
        self._slots = {one.step_s: one.slots for one in archives}
        database.migrate("readings", SCHEMA)

    def series(self) -> dict[SeriesKey, int]:
        rows = self._database.read("SELECT device_id, command, id FROM reading_series")
        return {(device_id, command): number for device_id, command, number in rows}

    def journal(self) -> list[tuple[int, int, float, float]]:
        """(id, series, time, number), in the order in which they came."""
        return [
            (row[0], row[1], row[2], row[3])
            for row in self._database.read(
                "SELECT id, series, time, number FROM reading_journal WHERE series IN (SELECT id FROM reading_series) "
                "ORDER BY id"
            )
        ]

    def rollups(self) -> int:
        """How often the journal has been summed up."""
        return int(self._database.read("SELECT number FROM reading_rollups")[0][0])

    def between(self, series: int, step_s: int, first: int, last: int) -> tuple[int, dict[int, Sum]]:
        """How often the journal had been summed up at the time, and the sums by bucket."""
        rows = self._database.read(_RANGE, (series, step_s, first, last))
        return (rows[0][0] if rows else self.rollups()), {row[1]: Sum(*row[2:]) for row in rows}

    @staticmethod
    def add_series(connection: Connection, new: Iterable[tuple[SeriesKey, int]]) -> None:
        rows = [(number, *key) for key, number in new]
        connection.executemany("INSERT OR IGNORE INTO reading_series VALUES (?, ?, ?)", rows)

    @staticmethod
    def append(connection: Connection, entries: Iterable[Entry]) -> int:
        """The id of the newest row of the journal."""
        connection.executemany("INSERT INTO reading_journal (series, time, number) VALUES (?, ?, ?)", entries)
        row = connection.execute("SELECT max(id) FROM reading_journal").fetchone()
        return int(row[0] or 0)

    def roll_up(self, connection: Connection, folds: Folds, last_id: int) -> None:
        """Put the sums into the slots, and drop the journal up to `last_id`, which they contain."""
        connection.executemany(_PUT, [self._row(*one) for one in folds.all()])
        connection.execute("DELETE FROM reading_journal WHERE id <= ?", (last_id,))
        connection.execute("UPDATE reading_rollups SET number = number + 1")

    @staticmethod
    def forget(connection: Connection, device_id: str) -> None:
        connection.execute(
            "DELETE FROM reading_journal WHERE series IN (SELECT id FROM reading_series WHERE device_id = ?)",
            (device_id,),
        )
        connection.execute("DELETE FROM reading_series WHERE device_id = ?", (device_id,))

    def _row(self, series: int, key: tuple[int, int], one: Sum) -> tuple[float, ...]:
        step, bucket = key
        return series, step, bucket % self._slots[step], bucket, one.count, one.low, one.total, one.high
