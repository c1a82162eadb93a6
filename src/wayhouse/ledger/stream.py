"""The progress stream of one change that is not over yet: replay from the start, then live, for any number of watchers.

Every line is encoded once, whoever watches; a watcher is an index into the list, so a slow one costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

from wayhouse.base import codec
from wayhouse.ledger.model import Line

MAX_LINES = 20_000
MAX_LINE_CHARS = 4_000


class Entry(NamedTuple):
    """A line, its JSON text as sent to watchers, and its number in the stream, from 0."""

    line: Line
    json: str
    number: int


def entries(lines: Iterable[Line], start: int = 0) -> list[Entry]:
    """`start` is the number of the first of these lines."""
    return [Entry(line, codec.encode_json(line).decode(), number) for number, line in enumerate(lines, start)]


class Stream:
    def __init__(self, lines: list[Line] | None = None) -> None:
        self._entries: list[Entry] = entries(lines or [])
        self._wake = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, line: Line, *, always: bool = False) -> Line | None:
        """Add a line; returns what was really added (shortened, or None once the stream is full). `always` is for the
        reason and the verdict, which must not fall to the limit."""
        count = len(self._entries)
        if not always:
            if count > MAX_LINES:
                return None
            if count == MAX_LINES:
                line = Line(line.time, "... more output follows and is not kept ...")
        if len(line.message) > MAX_LINE_CHARS:
            line = Line(line.time, line.message[:MAX_LINE_CHARS] + " ...")
        self._entries += entries([line], count)
        self._notify()
        return line

    def close(self) -> None:
        self._closed = True
        self._notify()

    async def watch(self, start: int = 0) -> AsyncIterator[list[Entry]]:
        """Batches of entries: all there are from number `start` on, then each time more come, until the stream is
        closed. A `start` past the end is the end: a crash may have taken lines that somebody had seen."""
        seen = min(start, len(self._entries))
        while True:
            if seen < len(self._entries):
                batch = self._entries[seen:]
                seen += len(batch)
                yield batch
            elif self._closed:
                return
            else:
                await self._wake.wait()

    def _notify(self) -> None:
        self._wake.set()
        self._wake = asyncio.Event()
