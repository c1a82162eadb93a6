"""Whether this process has a terminal of its own. SIGHUP means two things: "read anew", and "your terminal is gone"; this
tells them apart. Called by `life.py`."""

from __future__ import annotations

import os


class Terminal:
    """The controlling terminal as it was when this was made."""

    def __init__(self) -> None:
        self._was_there = _is_there()

    def is_gone(self) -> bool:
        """Whether there was one and is none any more: who started this in the foreground has left."""
        return self._was_there and not _is_there()


def _is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
