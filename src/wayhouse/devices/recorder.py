"""Puts on disk what the devices' books have collected: one commit a second for all of them, if there is anything.

A reading or an entry of the log never waits for the disk, so a sudden end loses at most what came in the last second
and while the last commit ran. An orderly stop loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from wayhouse.base.clock import Clock
from wayhouse.base.database import Connection, Database
from wayhouse.base.errors import WayhouseError

PERIOD_S = 1.0
log = logging.getLogger(__name__)

Work = Callable[[Connection], None]


class Book(Protocol):
    """Something that collects in memory what is to be written."""

    def begin(self, now: float | None) -> Work | None:
        """What waits, as one write; None if nothing does. `now` is on the monotonic clock, None at the end of all."""
        ...

    def end(self, *, is_kept: bool) -> None:
        """How that write went. What is not kept waits again."""
        ...


class Recorder:
    def __init__(self, database: Database, clock: Clock, books: Sequence[Book]) -> None:
        self._database = database
        self._clock = clock
        self._books = tuple(books)
        self._is_failing = False

    async def run(self) -> None:
        """Commits without end."""
        while True:
            await self._clock.sleep(PERIOD_S)
            await self.keep()

    async def keep(self) -> None:
        """One commit of all that waits now; on disk when it returns, or else waiting again and said in the log."""
        begun = [(book, work) for book in self._books if (work := book.begin(self._clock.monotonic()))]
        if not begun:
            return
        is_kept = False
        try:
            await self._database.write(lambda connection: _all([work for _, work in begun], connection))
            is_kept = True
        except asyncio.CancelledError:
            is_kept = True  # the database has it and does it
            raise
        except WayhouseError as error:
            if not self._is_failing:
                log.warning("no history can be kept: %s", error)
        finally:
            for book, _ in begun:
                book.end(is_kept=is_kept)
        self._is_failing = not is_kept

    def close(self) -> None:
        """Hand the rest to the database, which writes it before it closes."""
        for book in self._books:
            work = book.begin(None)
            if work is not None:
                self._database.write_soon(work)
                book.end(is_kept=True)


def _all(works: Sequence[Work], connection: Connection) -> None:
    for work in works:
        work(connection)
