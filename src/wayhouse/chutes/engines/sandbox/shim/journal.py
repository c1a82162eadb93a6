"""Writes the log of one container: JSON lines `{"timestamp", "stream", "message"}` in a file that rotates once.

`wayhouse.chutes.engines.sandbox.logs` reads it. The two files together stay within the container's log limit.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

MAX_LINE_BYTES = 16 * 1024
LEAST_FILE_BYTES = 32 * 1024


def rfc3339(moment_ns: int) -> str:
    """Unix nanoseconds as text in UTC, all nine digits."""
    whole, nanos = divmod(moment_ns, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{nanos:09d}Z"


class Journal:
    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._path = path
        self._half = max(LEAST_FILE_BYTES, limit_bytes // 2)
        self._open()

    def write(self, stream: str, message: str) -> None:
        line = {"timestamp": rfc3339(time.time_ns()), "stream": stream, "message": message}
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        if self._size + len(data) > self._half and self._size:
            self._rotate()
        try:
            self._size += os.write(self._file, data)
        except OSError:
            return  # a full disk must not stop the service; the line is lost

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        os.close(self._file)
        self._path.replace(self._path.with_suffix(".1"))
        self._open()


class Lines:
    """Cuts the bytes of one stream into lines; a line that never ends is cut at `MAX_LINE_BYTES`."""

    def __init__(self, journal: Journal, stream: str) -> None:
        self._journal = journal
        self._stream = stream
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._write(line)
        while len(self._rest) >= MAX_LINE_BYTES:
            self._write(self._rest[:MAX_LINE_BYTES])
            self._rest = self._rest[MAX_LINE_BYTES:]

    def end(self) -> None:
        if self._rest:
            self._write(self._rest)
            self._rest = b""

    def _write(self, line: bytes) -> None:
        self._journal.write(self._stream, line.removesuffix(b"\r").decode("utf-8", "replace"))
