"""The daemon's own log: JSON lines in a file that rotates, plain lines on the terminal, facts on the event stream."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.handlers
import sys
import threading
from pathlib import Path

import msgspec

from wayhouse.base import codec
from wayhouse.base.events import Events

MAX_FILE_BYTES = 4 * 1024 * 1024
KEPT_FILES = 4


class LogLine(msgspec.Struct, frozen=True):
    """One record of the daemon's log, as an event and as a line of the file. `timestamp` is Unix seconds."""

    timestamp: float
    level: str
    module: str
    message: str


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = codec.to_builtins(to_line(record))
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return codec.encode_json(line).decode()


class _ToEvents(logging.Handler):
    """Publishes on the event loop's thread alone, whichever thread speaks, since subscriptions belong to the loop."""

    def __init__(self, events: Events) -> None:
        super().__init__()
        self._events = events
        self._thread = threading.get_ident()
        self._loop: asyncio.AbstractEventLoop | None = None
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = to_line(record)
        except Exception:  # noqa: BLE001 - arguments that do not fit their text must not fail the one who speaks
            self.handleError(record)
            return
        if self._loop is None or threading.get_ident() == self._thread:
            self._events.publish(line)
            return
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody listens any more
            self._loop.call_soon_threadsafe(self._events.publish, line)


def to_line(record: logging.LogRecord) -> LogLine:
    return LogLine(record.created, record.levelname, record.name, record.getMessage())


def set_up(directory: Path, events: Events, *, level: str = "INFO", terminal: bool = True) -> None:
    """Route the root logger to `<directory>/wayhouse.log`, to `events` and, if asked, to standard error."""
    directory.mkdir(parents=True, exist_ok=True)
    file = logging.handlers.RotatingFileHandler(
        directory / "wayhouse.log",
        maxBytes=MAX_FILE_BYTES,
        backupCount=KEPT_FILES,
        encoding="utf-8",
        delay=True,
    )
    file.setFormatter(_JsonLines())
    handlers: list[logging.Handler] = [file, _ToEvents(events)]
    if terminal:
        screen = logging.StreamHandler(sys.stderr)
        screen.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
        handlers.append(screen)
    root = logging.getLogger()
    root.handlers = handlers
    root.setLevel(level)
