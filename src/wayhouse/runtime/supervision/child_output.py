"""What a child writes to standard output and error, as whole lines, and the last of them kept.

Called by the driver of supervision. Rules: the pipe is emptied whatever happens, so the child never waits for a reader for
long; a line without an end is cut, so memory is bounded.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

MAX_LINE = 16 * 1024
TAIL_LINES = 200
TAIL_BYTES = 64 * 1024
CHUNK = 64 * 1024
AT_ONCE = 4
"""Chunks that are read before others have their turn."""

Sink = Callable[[str, str, str], object]
"""Called with the child's name, "stdout" or "stderr", and the line without its end."""


class Tail:
    """The last lines of a child, of both streams."""

    def __init__(self, lines: int = TAIL_LINES, size: int = TAIL_BYTES) -> None:
        self._lines: deque[str] = deque(maxlen=lines)
        self._size, self._most = 0, size

    def add(self, line: str) -> None:
        if len(self._lines) == self._lines.maxlen:
            self._size -= len(self._lines.popleft())
        self._lines.append(line)
        self._size += len(line)
        while self._size > self._most and len(self._lines) > 1:
            self._size -= len(self._lines.popleft())

    def lines(self) -> list[str]:
        return list(self._lines)


class ChildOutput:
    """The reading end `fd` of one stream; `pending` is the begin of a line that came already."""

    def __init__(
        self, name: str, stream: str, fd: int, sink: Sink, *, max_line: int = MAX_LINE, pending: bytes = b""
    ) -> None:
        self.stream = stream
        self.pending = pending
        self._name, self._fd, self._sink, self._max_line = name, fd, sink, max_line
        os.set_blocking(fd, False)

    def fileno(self) -> int:
        return self._fd

    def read(self, chunks: int = AT_ONCE) -> bool:
        """Take what is there; False at the end of the stream."""
        for _ in range(chunks):
            try:
                data = os.read(self._fd, CHUNK)
            except (BlockingIOError, InterruptedError):
                return True
            if not data:
                return False
            self._feed(data)
        return True

    def finish(self) -> None:
        """The child has ended: hand on what is left, also half a line, and close. What a grandchild still writes is lost."""
        self.read(chunks=16 * AT_ONCE)
        rest, self.pending = self.pending, b""
        if rest:
            self._tell(rest)
        self.detach()

    def detach(self) -> None:
        """Close only."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _feed(self, data: bytes) -> None:
        *lines, rest = (self.pending + data).split(b"\n")
        self.pending = b""
        for line in lines:
            self._tell_cut(line)
        while len(rest) >= self._max_line:
            self._tell(rest[: self._max_line])
            rest = rest[self._max_line :]
        self.pending = rest

    def _tell_cut(self, line: bytes) -> None:
        for begin in range(0, len(line) or 1, self._max_line):
            self._tell(line[begin : begin + self._max_line])

    def _tell(self, line: bytes) -> None:
        self._sink(self._name, self.stream, line.rstrip(b"\r").decode("utf-8", "replace"))
