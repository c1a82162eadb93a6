"""SQLite with group commit: what `write` has returned is on disk.

One thread owns the only writing connection (WAL, `synchronous=FULL`). It takes everything that is waiting, runs it in
one transaction, commits once and then answers all, so that many writers share one sync. Reads use a second connection
and never wait for the writer. Every room keeps its own tables and gives its schema as a list of steps to `migrate`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from wayhouse.base.errors import PermanentError, UnavailableError

T = TypeVar("T")
Connection = sqlite3.Connection
Row = tuple[Any, ...]

MAX_BATCH = 256
_DISK = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_NOMEM,
}
"""Primary result codes that blame the machine and not the statement; SQLite may have ended the transaction itself."""

_TRANSACTION = ("BEGIN", "COMMIT", "ROLLBACK")
_SAVEPOINT = ("SAVEPOINT step", "RELEASE step", "ROLLBACK TO step")

log = logging.getLogger(__name__)


class _Write(NamedTuple):
    work: Callable[[Connection], Any]
    future: asyncio.Future[Any] | None
    loop: asyncio.AbstractEventLoop | None


class Database:
    """One file, many rooms. `close` waits until everything queued is on disk.

    `on_trial`: nothing that is done before `confirm`, a schema's steps among it, is seen by anybody else or left on disk; for
    a process that prepares to take over from one that must be able to go on with the file as it is.
    """

    def __init__(self, path: Path, *, on_trial: bool = False) -> None:
        self.path = path
        self._on_trial = on_trial
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._writer = _connect(path)
            self._reader = self._writer if on_trial else _connect(path)
            if on_trial:
                self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as error:
            raise PermanentError(
                f"The database {path} cannot be opened: {error}. Restore it from a backup or move it away to start anew."
            ) from error
        path.chmod(0o600)
        self._writer.execute(
            "CREATE TABLE IF NOT EXISTS schema_steps (room TEXT PRIMARY KEY, step INTEGER NOT NULL)"
        )
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._is_closed = False
        self._writing = threading.Lock()
        self._may_write = threading.Event()
        if not on_trial:
            self._may_write.set()
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    def migrate(self, room: str, steps: Sequence[str]) -> None:
        """Bring the tables of `room` to the newest schema; each step runs once, ever, and all or none of it."""
        row = self.read("SELECT step FROM schema_steps WHERE room = ?", (room,))
        done = row[0][0] if row else 0
        if done > len(steps):
            raise PermanentError(
                f"The database was written by a newer version of Wayhouse ({room} step {done}). Install that version."
            )
        for number, step in enumerate(steps[done:], start=done + 1):
            self._migrate(room, number, step)

    def _migrate(self, room: str, number: int, step: str) -> None:
        note = f"INSERT OR REPLACE INTO schema_steps VALUES ('{room}', {number})"  # noqa: S608 - our own words
        begin, end, undo = _SAVEPOINT if self._on_trial else _TRANSACTION
        with self._writing:
            try:
                for statement in (begin, *_statements(step), note, end):
                    self._writer.execute(statement)
            except sqlite3.Error as error:
                if self._writer.in_transaction:
                    self._writer.execute(undo)
                raise PermanentError(
                    f"The database {self.path} cannot be brought up to date ({room} step {number}): {error}."
                ) from error

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in the writer's transaction; returns when its effect is on disk. An exception undoes `work` alone.

        Raises `UnavailableError` when the disk does not take it (or the database is closed): nothing is written then.
        """
        if self._is_closed:
            raise UnavailableError("The gateway is stopping; nothing can be written any more.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Write(work, future, loop))
        return await future

    def write_soon(self, work: Callable[[Connection], Any]) -> None:
        """Queue a write that nobody waits for (progress lines); it goes to disk with the next commit, in order."""
        self._queue.put(_Write(work, None, None))

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._reader.execute(sql, parameters).fetchall()

    async def hold(self) -> None:
        """Write what waits, then nothing more until `go_on`: another process may write meanwhile."""
        await self.write(lambda _: None)
        with self._writing:
            self._may_write.clear()

    def go_on(self) -> None:
        """After `hold`."""
        self._may_write.set()

    def confirm(self) -> None:
        """End the trial: what was done is kept, and writing begins. Raises `UnavailableError` when the disk does not take it."""
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            raise UnavailableError(f"The state cannot be written to disk ({error}).") from error
        self._on_trial = False
        self._reader = _connect(self.path)
        self._may_write.set()

    def close(self) -> None:
        self._is_closed = True
        self._may_write.set()
        self._queue.put(None)
        self._thread.join()
        self._reader.close()
        self._writer.close()

    def _run(self) -> None:
        open_ = True
        while open_:
            batch = [self._queue.get()]
            while len(batch) < MAX_BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            if None in batch:
                open_ = False
            with self._writing:
                self._may_write.wait()
                self._commit([write for write in batch if write is not None])

    def _commit(self, batch: list[_Write]) -> None:
        if not batch:
            return
        answers: list[tuple[_Write, Any, BaseException | None]] = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            answers.extend(self._attempt(write) for write in batch)
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            failure = UnavailableError(
                f"The state cannot be written to disk ({error}). Free space on {self.path.parent}."
            )
            answers = [(write, None, failure) for write in batch]
            log.error("%d writes failed: %s", len(batch), error)  # noqa: TRY400 - their callers are told
        for write, result, failure_ in answers:
            if write.loop is not None and write.future is not None:
                with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                    write.loop.call_soon_threadsafe(_answer, write.future, result, failure_)

    def _attempt(self, write: _Write) -> tuple[_Write, Any, BaseException | None]:
        self._writer.execute("SAVEPOINT one")
        try:
            result = write.work(self._writer)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DISK:
                raise
            self._writer.execute("ROLLBACK TO one")
            self._writer.execute("RELEASE one")
            return write, None, error
        self._writer.execute("RELEASE one")
        return write, result, None


def _answer(future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if future.cancelled():
        return
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)


def _statements(script: str) -> list[str]:
    """The statements of a script; `executescript` would end the transaction that is open."""
    found, rest = list[str](), ""
    for piece in script.split(";"):
        rest += piece + ";"
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    return [one for one in found if one.strip(" \n\t;")]


def _connect(path: Path) -> Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection
