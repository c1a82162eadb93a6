"""The clone's keys on disk: one SQLite file that is read at start and written in batches, so that keys survive a restart.

Called by `drivers.clone_saver`. Rules: a batch is on disk as a whole or not at all (WAL, `synchronous=FULL`); the newest value of a key
alone is kept, so the file is bounded by the limits of the clone; a file that is damaged is set aside, since a bus without old
values is better than none.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from wayhouse.base.errors import PermanentError, UnavailableError

SCHEMA_VERSION = 1
SCHEMA = (
    "CREATE TABLE items (key BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE clone (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL)",
)
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

log = logging.getLogger(__name__)


class CloneStore:
    """May be made in one thread and used in another, by one at a time."""

    def __init__(self, path: Path) -> None:
        """Raises `PermanentError` for a file that cannot be used, `UnavailableError` where a full disk takes no new one."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open_or_set_aside()
        except (sqlite3.Error, OSError) as error:
            if _is_full(error):
                raise UnavailableError(
                    f"The keys of the clone {path} cannot be opened: {error}. Free some space."
                ) from error
            raise PermanentError(
                f"The keys of the clone {path} cannot be opened: {error}. Is another bus using this folder?"
            ) from error

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """(key, body) of all."""
        return iter(self._connection.execute("SELECT key, body FROM items"))

    def sequence(self) -> int:
        """The clone's, when it was last written; 0 if never."""
        row = self._connection.execute("SELECT sequence FROM clone").fetchone()
        return 0 if row is None else int(row[0])

    def needed(self, batch: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """`batch` without what deletes a key that is not there."""
        found = "SELECT 1 FROM items WHERE key = ?"
        fetch = self._connection.execute
        return {key: body for key, body in batch.items() if body or fetch(found, (key,)).fetchone()}

    def write(self, batch: Mapping[bytes, bytes], sequence: int) -> None:
        """Bodies by key; an empty one deletes. Raises `sqlite3.Error`, and nothing is written then."""
        execute, many = self._connection.execute, self._connection.executemany
        execute("BEGIN IMMEDIATE")
        try:
            many("INSERT OR REPLACE INTO items VALUES (?, ?)", [item for item in batch.items() if item[1]])
            many("DELETE FROM items WHERE key = ?", [(key,) for key, body in batch.items() if not body])
            execute("INSERT OR REPLACE INTO clone VALUES (1, ?)", (sequence,))
            execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                execute("ROLLBACK")
            raise

    def close(self) -> None:
        self._connection.close()

    def _open_or_set_aside(self) -> None:
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in DAMAGED:
                raise
            aside = self.path.with_suffix(".damaged")
            self.path.replace(aside)
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            log.exception(
                "the keys of the clone are damaged: they are in %s now, and the clone is empty", aside
            )
            self._open()

    def _open(self) -> None:
        self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            self.path.chmod(0o600)
            self._set_up()
        except BaseException:
            self._connection.close()
            raise

    def _set_up(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA locking_mode=EXCLUSIVE")
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=FULL")
        execute(f"PRAGMA journal_size_limit={16 << 20}")
        execute("BEGIN IMMEDIATE")
        version = execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise PermanentError(
                f"{self.path} was written by a newer version of Wayhouse. Install that version."
            )
        if version == 0:
            for statement in SCHEMA:
                execute(statement)
            execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        execute("COMMIT")


def _is_full(error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        return error.sqlite_errorcode == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
