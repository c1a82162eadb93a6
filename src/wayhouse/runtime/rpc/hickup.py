"""SIGUSR1 to a server: a file that says where it is, and the same signal to its children. Called by `Control`.

Rule: it must not disturb what was interrupted: no locks, no allocation of sockets, one file that nobody else can read.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from types import FrameType

from wayhouse.runtime import process_table, trace

OURS = ("ave-", "wayhouse")
"""Children with other names are tools, which the signal would kill."""


def leave_trace(home: Path, proc_name: str, frame: FrameType | None) -> Path:
    """Signal the children, then write the trace; where it is. Raises `OSError`."""
    _pass_on()
    folder = home / ".wayhouse" / "hickup"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{_plain(proc_name)}-{os.getpid()}"
    path, fd = _fresh(folder, stem)
    with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
        file.write(trace.hickup(frame))
    return path


def _fresh(folder: Path, stem: str) -> tuple[Path, int]:
    """A file that is not there yet: two signals within a second leave two traces."""
    number = 0
    while True:
        path = folder / (f"{stem}-{number}" if number else stem)
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            number += 1


def _pass_on() -> None:
    for pid in process_table.get_children(os.getpid()):
        with contextlib.suppress(OSError):
            if process_table.get_proc_name(pid).startswith(OURS):
                os.kill(pid, signal.SIGUSR1)


def _plain(name: str) -> str:
    return "".join(char if char.isalnum() or char in "-_." else "_" for char in name)
