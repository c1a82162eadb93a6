"""Decodes what the Docker API streams: log frames with two streams in one, and the JSON lines of builds and pulls.

Machines without I/O: bytes go in, lines come out. Used by `docker.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.chutes.model import EngineError, LogLine

FRAME_HEAD = 8
MAX_LINE = 64 * 1024
MAX_FRAME = 16 * 1024 * 1024
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class LogFrames:
    """Docker's multiplexed stream (Engine API, "Attach to a container"), asked for with timestamps.

    Each frame is one message of the app: 8 bytes of head (stream, length), then "timestamp text". A message without a
    line end is the first part of a long line.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._data = bytearray()
        self._begun: dict[int, tuple[str, str]] = {}

    def feed(self, data: bytes) -> Iterator[LogLine]:
        """Raises `EngineError` if this is not such a stream."""
        self._data += data
        while len(self._data) >= FRAME_HEAD:
            stream, size = self._data[0], int.from_bytes(self._data[4:FRAME_HEAD])
            if stream > 3 or size > MAX_FRAME:
                raise EngineError("The engine's log cannot be understood: it is not in frames.")
            if len(self._data) < FRAME_HEAD + size:
                return
            text = self._data[FRAME_HEAD : FRAME_HEAD + size].decode("utf-8", "replace")
            del self._data[: FRAME_HEAD + size]
            yield from self._frame(stream, text)

    def end(self) -> Iterator[LogLine]:
        """Lines that never got their end."""
        for stamp, text in self._begun.values():
            yield LogLine(self._service, stamp, text)
        self._begun.clear()

    def _frame(self, stream: int, text: str) -> Iterator[LogLine]:
        stamp, _, message = text.partition(" ")
        if not _TIMESTAMP.fullmatch(stamp):
            stamp, message = "", text
        first_stamp, begun = self._begun.pop(stream, (nanoseconds(stamp), ""))
        whole = begun + message
        if whole.endswith("\n") or len(whole) >= MAX_LINE:
            for line in whole.removesuffix("\n").split("\n"):
                yield LogLine(self._service, first_stamp, line.removesuffix("\r"))
        else:
            self._begun[stream] = (first_stamp, whole)


def nanoseconds(stamp: str) -> str:
    """A timestamp in UTC with all nine digits, so that timestamps compare as text."""
    whole, _, rest = stamp.removesuffix("Z").partition(".")
    if not whole or not (rest or "0").isdigit():
        return stamp
    return f"{whole}.{rest[:9]:0<9}Z"


class ProgressLines:
    """JSON lines of a build or a pull to lines for people. `prefix` begins the error's text."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """Raises `EngineError` when the engine reports a failure."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                yield from self._event(line)

    def end(self) -> Iterator[str]:
        if self._rest.strip():
            yield from self._event(self._rest)

    def _event(self, line: bytes) -> Iterator[str]:
        try:
            event = codec.decode_json(line, dict)
        except BadInputError:
            return
        fault = _fault(event)
        if fault:
            raise EngineError(f"{self._prefix}: {fault}")
        if event.get("stream"):
            yield from useful_lines(str(event["stream"]))
        elif event.get("status") and not event.get("progressDetail"):
            layer = f"{event['id']}: " if event.get("id") else ""
            yield layer + str(event["status"])


def _fault(event: Mapping[str, Any]) -> str | None:
    detail = event.get("errorDetail")
    message = detail.get("message") if isinstance(detail, dict) else None
    fault = message or event.get("error")
    return " ".join(str(fault).split()) if fault else None


def useful_lines(text: str) -> Iterator[str]:
    """Lines without colour codes, empty lines and progress bars."""
    for raw in _ESCAPES.sub("", text).split("\n"):
        line = raw.rstrip("\r").rpartition("\r")[2].rstrip()
        if line and not is_progress_bar(line):
            yield line


def is_progress_bar(line: str) -> bool:
    """Bars of pip, curl and the like: drawn with signs and numbers, at the most with units."""
    if not any(sign in line for sign in "━█▌#=>|-. ") or not re.search(r"[━█▌▏]|[#=|.\-]{3,}|\d%", line):
        return False
    return not re.search(r"[A-Za-z]{4,}", re.sub(r"eta\b|[kKMGT]i?B(/s)?", "", line))
