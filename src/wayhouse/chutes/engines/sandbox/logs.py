"""Reads the log files that the shim's `journal` writes: the last lines, then new ones as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec

from wayhouse.chutes.model import LogLine

POLL_S = 0.1
READ_BYTES = 256 * 1024


class _Line(msgspec.Struct):
    timestamp: str
    message: str


_decoder = msgspec.json.Decoder(_Line)


def parse(service: str, data: bytes) -> LogLine | None:
    """One line of the file; None for what a crash left half written."""
    try:
        line = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return LogLine(service, line.timestamp, line.message)


class Reader:
    """Remembers how far it has read in `path`, over a rotation to `<path>.1`."""

    def __init__(self, path: Path, service: str) -> None:
        self._path = path
        self._service = service
        self._inode = 0
        self._offset = 0
        self._rest = b""

    def last(self, count: int) -> list[LogLine]:
        """The last `count` lines of both files; later calls of `more` go on from here."""
        kept: deque[LogLine] = deque(maxlen=max(0, count))
        for lines in self._all():
            kept.extend(lines)
        return list(kept)

    def since(self, stamp: str) -> list[LogLine]:
        """The lines of both files from the timestamp `stamp` on; later calls of `more` go on from here."""
        return [line for lines in self._all() for line in lines if line.timestamp >= stamp]

    def more(self) -> list[LogLine]:
        """What was written since; empty if nothing."""
        if self._inode and _inode(self._path) != self._inode:
            old = (
                self._read(self._path.with_suffix(".1"))
                if _inode(self._path.with_suffix(".1")) == self._inode
                else []
            )
            if old:
                return old
            self._offset, self._rest = 0, b""
        self._inode = _inode(self._path)
        return self._read(self._path)

    def _all(self) -> Iterator[list[LogLine]]:
        for name in (self._path.with_suffix(".1"), self._path):
            self._inode, self._offset, self._rest = _inode(name), 0, b""
            while lines := self._read(name):
                yield lines

    def _read(self, path: Path) -> list[LogLine]:
        try:
            with path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(READ_BYTES)
        except OSError:
            return []
        self._offset += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [parse(self._service, text) for text in whole]
        found = [line for line in lines if line is not None]
        return found or (self._read(path) if data else [])


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


async def follow(reader: Reader, is_over: Callable[[], bool]) -> AsyncIterator[LogLine]:
    """New lines until `is_over`, then whatever is left."""
    while True:
        over = is_over()
        lines = reader.more()
        for line in lines:
            yield line
        if over and not lines:
            return
        if not lines:
            await asyncio.sleep(POLL_S)
