"""The tables of the ledger. Whatever `await`s here is on disk when it returns; progress lines follow with the next commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from wayhouse.base import codec
from wayhouse.base.database import Connection, Database, Row
from wayhouse.ledger.model import Actor, Change, Line, State, TaskState, Wish

SCHEMA = (
    """
    CREATE TABLE changes (
        id INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, wish BLOB NOT NULL, actor BLOB NOT NULL,
        created REAL NOT NULL, started REAL, ended REAL, reason TEXT, settled INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX changes_by_state ON changes (state);
    CREATE TABLE change_tasks (
        change_id INTEGER NOT NULL REFERENCES changes ON DELETE CASCADE, number INTEGER NOT NULL,
        body BLOB NOT NULL, state TEXT NOT NULL, PRIMARY KEY (change_id, number)) WITHOUT ROWID;
    CREATE TABLE change_lines (
        change_id INTEGER NOT NULL REFERENCES changes ON DELETE CASCADE, number INTEGER NOT NULL,
        time REAL NOT NULL, message TEXT NOT NULL, PRIMARY KEY (change_id, number)) WITHOUT ROWID;
    """,
)

KEPT_CHANGES = 1000
_COLUMNS = "id, state, wish, actor, created, started, ended, reason"


class StoredTask(NamedTuple):
    body: bytes
    state: TaskState


class LedgerStore:
    def __init__(self, database: Database) -> None:
        self._database = database
        database.migrate("ledger", SCHEMA)

    async def add(self, wish: Wish, actor: Actor, now: float) -> Change:
        row = (State.QUEUED, codec.encode_json(wish), codec.encode_json(actor), now)

        def work(connection: Connection) -> int:
            cursor = connection.execute(
                "INSERT INTO changes (state, wish, actor, created) VALUES (?, ?, ?, ?)", row
            )
            return cursor.lastrowid or 0

        return Change(
            id=await self._database.write(work), wish=wish, actor=actor, state=State.QUEUED, created=now
        )

    async def save(self, change: Change) -> None:
        values = (change.state, change.started, change.ended, change.reason, change.id)

        def work(connection: Connection) -> None:
            connection.execute("UPDATE changes SET state=?, started=?, ended=?, reason=? WHERE id=?", values)

        await self._database.write(work)

    async def put_plan(self, change_id: int, bodies: Sequence[bytes]) -> None:
        rows = [(change_id, number, body, TaskState.PENDING) for number, body in enumerate(bodies)]

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM change_tasks WHERE change_id = ?", (change_id,))
            connection.executemany("INSERT INTO change_tasks VALUES (?, ?, ?, ?)", rows)

        await self._database.write(work)

    async def mark(self, change_id: int, states: dict[int, TaskState]) -> None:
        """Put tasks (by number) into new states, all at once."""
        rows = [(state, change_id, number) for number, state in states.items()]

        def work(connection: Connection) -> None:
            connection.executemany("UPDATE change_tasks SET state=? WHERE change_id=? AND number=?", rows)

        await self._database.write(work)

    def add_line(self, change_id: int, number: int, line: Line) -> None:
        row = (change_id, number, line.time, line.message)
        self._database.write_soon(lambda connection: connection.execute(_INSERT_LINE, row))

    async def mark_settled(self, change: Change) -> None:
        """The planner has tidied up after the change: its tasks and the data of its wish (which may hold secrets) are
        forgotten, and so is every change but the newest `KEPT_CHANGES`."""
        change_id = change.id
        wish = codec.encode_json(msgspec.structs.replace(change.wish, data=msgspec.Raw(b"{}")))

        def work(connection: Connection) -> None:
            connection.execute("UPDATE changes SET settled = 1, wish = ? WHERE id = ?", (wish, change_id))
            connection.execute("DELETE FROM change_tasks WHERE change_id = ?", (change_id,))
            connection.execute(
                "DELETE FROM changes WHERE settled = 1 AND id <= ?", (change_id - KEPT_CHANGES,)
            )

        await self._database.write(work)

    def get(self, change_id: int) -> Change | None:
        rows = self._database.read(f"SELECT {_COLUMNS} FROM changes WHERE id = ?", (change_id,))  # noqa: S608
        return _change(rows[0]) if rows else None

    def unfinished(self) -> list[Change]:
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM changes WHERE state IN ('queued', 'running', 'undoing') ORDER BY id"  # noqa: S608
        )
        return [_change(row) for row in rows]

    def unsettled(self) -> list[Change]:
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM changes WHERE settled = 0 AND "  # noqa: S608
            "state IN ('succeeded', 'failed', 'cancelled') ORDER BY id"
        )
        return [_change(row) for row in rows]

    def history(self, *, limit: int, before: int | None, resource: str | None = None) -> list[Change]:
        """Newest first; `before` is the id to continue below."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM changes WHERE id < ?1 AND "  # noqa: S608
            "(?2 IS NULL OR json_extract(wish, '$.resource') = ?2) ORDER BY id DESC LIMIT ?3",
            (before or 1 << 62, resource, limit),
        )
        return [_change(row) for row in rows]

    def tasks(self, change_id: int) -> list[StoredTask]:
        rows = self._database.read(
            "SELECT body, state FROM change_tasks WHERE change_id = ? ORDER BY number", (change_id,)
        )
        return [StoredTask(body, TaskState(state)) for body, state in rows]

    def lines(self, change_id: int) -> list[Line]:
        rows = self._database.read(
            "SELECT time, message FROM change_lines WHERE change_id = ? ORDER BY number", (change_id,)
        )
        return [Line(time, message) for time, message in rows]


_INSERT_LINE = "INSERT OR REPLACE INTO change_lines VALUES (?, ?, ?, ?)"


def _change(row: Row) -> Change:
    change_id, state, wish, actor, created, started, ended, reason = row
    return Change(
        id=change_id,
        wish=msgspec.json.decode(wish, type=Wish),
        actor=msgspec.json.decode(actor, type=Actor),
        state=State(state),
        created=created,
        started=started,
        ended=ended,
        reason=reason,
    )
