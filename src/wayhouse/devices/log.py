"""The log of a device: what happened to it and who did what with it, as text. Bounded by construction.

A device has `SLOTS` entries on disk; a new one takes the place of the oldest. Adding never waits: `Recorder` writes what
has come a second later at the latest. Values that are written are named, configs are not: those may hold passwords.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from wayhouse.base.database import Connection, Database
from wayhouse.devices.model import LogEntry, LogKind

SLOTS = 500
MAX_TEXT = 300
MAX_WHO = 80
MAX_WAITING = 20_000

SCHEMA = (
    """
    CREATE TABLE device_log (
        device_id TEXT NOT NULL, slot INTEGER NOT NULL, number INTEGER NOT NULL, time REAL NOT NULL,
        kind TEXT NOT NULL, who TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (device_id, slot)) WITHOUT ROWID;
    """,
)


Waiting = tuple[str, LogEntry]


class DeviceLog:
    """`begin` and `end` make it a `recorder.Book`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._newest: dict[str, int] = {}
        self._waiting: list[Waiting] = []
        self._at_work: tuple[Waiting, ...] = ()
        database.migrate("device-log", SCHEMA)

    def add(self, device_id: str, time: float, kind: LogKind, text: str, who: str = "") -> LogEntry:
        """Never waits, never raises; what is too long is cut."""
        number = self._number(device_id) + 1
        self._newest[device_id] = number
        entry = LogEntry(number, time, kind, text[:MAX_TEXT], who[:MAX_WHO])
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append((device_id, entry))
        return entry

    def entries(self, device_id: str, *, limit: int, before: int | None = None) -> list[LogEntry]:
        """Newest first, at most `limit`; with `before` only those below that number."""
        rows = self._database.read(
            "SELECT number, time, kind, text, who FROM device_log WHERE device_id = ?", (device_id,)
        )
        found = {row[0]: LogEntry(*row) for row in rows}
        found |= {one.number: one for device, one in (*self._at_work, *self._waiting) if device == device_id}
        newest = self._number(device_id)
        kept = (one for one in found if one > newest - SLOTS and (before is None or one < before))
        return [found[number] for number in sorted(kept, reverse=True)[:limit]]

    async def forget(self, device_id: str) -> None:
        self._waiting = [one for one in self._waiting if one[0] != device_id]
        self._newest.pop(device_id, None)
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM device_log WHERE device_id = ?", (device_id,))
        )

    def begin(self, now: float | None) -> Callable[[Connection], None] | None:
        if not self._waiting:
            return None
        self._at_work, self._waiting = tuple(self._waiting), []
        return functools.partial(_write, self._at_work)

    def end(self, *, is_kept: bool) -> None:
        if not is_kept:
            again = [one for one in self._at_work if one[0] in self._newest]
            self._waiting = [*again, *self._waiting][-MAX_WAITING:]
        self._at_work = ()

    def _number(self, device_id: str) -> int:
        if device_id not in self._newest:
            row = self._database.read("SELECT max(number) FROM device_log WHERE device_id = ?", (device_id,))
            self._newest[device_id] = row[0][0] or 0
        return self._newest[device_id]


def _write(waiting: tuple[Waiting, ...], connection: Connection) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO device_log VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (device_id, one.number % SLOTS, one.number, one.time, one.kind, one.who, one.text)
            for device_id, one in waiting
        ],
    )
