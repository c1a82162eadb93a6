"""`titanic.store`: values under service, section and key, byte for byte, with revisions, history and values that expire.

Called by the service of that name, between `begin` and `commit` of a `TitanicStore`. Rules: every change has a revision of its own,
one after another over all keys; the value lives in the history, whose newest row of a key is what the key holds; what is deleted
stays in the history for a bounded number of revisions, then nothing of it is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from wayhouse.base.errors import ConflictError
from wayhouse.bus.titanic_store import TitanicStore

SET, DELETED, EXPIRED = 0, 1, 2
WHAT = (b"set", b"deleted", b"expired")
SWEPT_AT_ONCE = 500

Key = tuple[bytes, bytes, bytes]
"""Service, section, key."""


class Record(NamedTuple):
    """`expires` in the store's time; None: never."""

    value: bytes
    revision: int
    expires: float | None


class Revision(NamedTuple):
    """A row of the history. `time` is Unix seconds, `what` an index into `WHAT`."""

    revision: int
    time: float
    what: int
    key: Key
    value: bytes


class RevisionError(ConflictError):
    """The key is at another revision, `revision` (0: it does not exist)."""

    code = "titanic-revision"

    def __init__(self, revision: int) -> None:
        super().__init__(
            f"The key is at revision {revision}; read it again, then try again.", revision=revision
        )
        self.revision = revision


class NoSectionError(ConflictError):
    code = "titanic-no-section"

    def __init__(self) -> None:
        super().__init__("There is no such section.")


class Records:
    def __init__(self, store: TitanicStore) -> None:
        self._connection = store.connection
        self._settings = store.settings

    def get(self, key: Key, now: float) -> Record | None:
        row = self._connection.execute(
            "SELECT value, revision, expires FROM records JOIN history USING (revision) "
            "WHERE records.service = ? AND records.section = ? AND records.key = ?",
            key,
        ).fetchone()
        if row is None or (row[2] is not None and row[2] <= now):
            return None
        return Record(*row)

    def put(
        self,
        key: Key,
        value: bytes,
        now: float,
        wall: float,
        *,
        ttl_s: float | None = None,
        expected: int | None = None,
    ) -> int:
        """Store `value`; its revision. With `expected`, only if the key is at that revision (0: does not exist), else
        `RevisionError`. A value without `ttl_s` stays."""
        if expected is not None:
            found = self.get(key, now)
            if (found.revision if found else 0) != expected:
                raise RevisionError(found.revision if found else 0)
        revision = self._write(key, SET, value, wall)
        execute = self._connection.execute
        execute("INSERT OR IGNORE INTO sections VALUES (?, ?)", key[:2])
        expires = None if ttl_s is None else now + ttl_s
        execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)", (*key, revision, expires))
        execute(
            "DELETE FROM history WHERE service = ?1 AND section = ?2 AND key = ?3 AND revision <= (SELECT revision FROM history "
            "WHERE service = ?1 AND section = ?2 AND key = ?3 ORDER BY revision DESC LIMIT 1 OFFSET ?4)",
            (*key, self._settings.history),
        )
        return revision

    def delete(self, place: Sequence[bytes], wall: float) -> int:
        """Delete a key, a section or all of a service; how many keys went. Raises `NoSectionError` if it names a section that
        does not exist; a service or a key that does not is fine."""
        if len(place) > 1 and not self._has_section(place[:2]):
            raise NoSectionError
        where, values = _where(place)
        execute = self._connection.execute
        columns = "time, what, service, section, key, value"
        execute(
            f"INSERT INTO history ({columns}) SELECT ?, ?, service, section, key, x'' FROM records WHERE {where}",  # noqa: S608
            (wall, DELETED, *values),
        )
        gone = execute(f"DELETE FROM records WHERE {where}", values).rowcount  # noqa: S608
        if len(place) < 3:
            execute(f"DELETE FROM sections WHERE {where}", values)  # noqa: S608
        return gone

    def names(self, place: Sequence[bytes], after: bytes | None, limit: int) -> list[bytes]:
        """Services, sections of a service or keys of a section, in order, those behind `after`."""
        column = ("service", "section", "key")[len(place)]
        table = "records" if len(place) == 2 else "sections"
        where, values = _where(place)
        rows = self._connection.execute(
            f"SELECT DISTINCT {column} FROM {table} WHERE {where} AND {column} > ? ORDER BY {column} LIMIT ?",  # noqa: S608
            (*values, after if after is not None else -1, limit),
        )
        return [row[0] for row in rows]

    def history(self, key: Key, limit: int) -> list[Revision]:
        """Newest first, as many as one message may hold."""
        return self._revisions(
            "service = ? AND section = ? AND key = ? ORDER BY revision DESC LIMIT ?", (*key, limit)
        )

    def changes(self, since: int, limit: int) -> list[Revision]:
        """What changed after revision `since`, oldest first, without what was overwritten more than `history` times since."""
        return self._revisions("revision > ? ORDER BY revision LIMIT ?", (since, limit))

    def expire(self, now: float, wall: float) -> list[Revision]:
        """Remove what has expired, some at once; what went."""
        rows = self._connection.execute(
            "SELECT service, section, key FROM records WHERE expires <= ? ORDER BY expires LIMIT ?",
            (now, SWEPT_AT_ONCE),
        ).fetchall()
        return [Revision(self._expire(key, wall), wall, EXPIRED, key, b"") for key in rows]

    def next_expiry(self) -> float | None:
        row = self._connection.execute(
            "SELECT min(expires) FROM records WHERE expires IS NOT NULL"
        ).fetchone()
        return None if row is None else row[0]

    def sweep(self) -> int:
        """Drop the history of what was deleted long ago, some at once; how many keys."""
        newest = self._connection.execute("SELECT max(revision) FROM history").fetchone()[0] or 0
        rows = self._connection.execute(
            "SELECT revision, service, section, key FROM history WHERE what > 0 AND revision < ? ORDER BY revision LIMIT ?",
            (newest - self._settings.tombstones, SWEPT_AT_ONCE),
        ).fetchall()
        for revision, *key in rows:
            self._connection.execute(
                "DELETE FROM history WHERE service = ? AND section = ? AND key = ? AND revision <= ?",
                (*key, revision),
            )
        return len(rows)

    def _expire(self, key: Key, wall: float) -> int:
        self._connection.execute("DELETE FROM records WHERE service = ? AND section = ? AND key = ?", key)
        return self._write(key, EXPIRED, b"", wall)

    def _write(self, key: Key, what: int, value: bytes, wall: float) -> int:
        cursor = self._connection.execute(
            "INSERT INTO history (time, what, service, section, key, value) VALUES (?, ?, ?, ?, ?, ?)",
            (wall, what, *key, value),
        )
        return cursor.lastrowid or 0

    def _has_section(self, place: Sequence[bytes]) -> bool:
        query = "SELECT 1 FROM sections WHERE service = ? AND section = ?"
        return self._connection.execute(query, place).fetchone() is not None

    def _revisions(self, where: str, values: Sequence[Any]) -> list[Revision]:
        rows = self._connection.execute(
            f"SELECT revision, time, what, service, section, key, value FROM history WHERE {where}",  # noqa: S608
            values,
        )
        found, size = list[Revision](), 0
        for revision, time, what, service, section, key, value in rows:
            size += len(value)
            if found and size > self._settings.max_body_bytes:
                break
            found.append(Revision(revision, time, what, (service, section, key), value))
        return found


def _where(place: Sequence[bytes]) -> tuple[str, Sequence[bytes]]:
    columns = ("service", "section", "key")[: len(place)]
    return " AND ".join([f"{column} = ?" for column in columns] or ["1"]), place
