"""A file that names a running process, and knows whether it still does: its owner holds a lock on it for life.

Called by `Daemon`. A pid alone may name another process by now; a lock is let go by the kernel, whatever the end was like.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from wayhouse.base import ids


class PidFile:
    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1

    def exists(self) -> bool:
        return os.path.lexists(self.path)

    def read(self) -> int:
        """The pid, 0 for no file or for what is no pid."""
        try:
            text = Path(self.path).read_bytes().strip()
        except OSError:
            return 0
        return int(text) if text.isdigit() and len(text) < 11 else 0

    def claim(self) -> None:
        """Name this process, in place of whoever is named there, and hold on to it."""
        draft = f"{self.path}.{ids.short_id()}"
        fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(fd, 0o644)
            fcntl.flock(fd, fcntl.LOCK_EX)
            os.write(fd, b"%d\n" % os.getpid())
            Path(draft).replace(self.path)
        except OSError:
            os.close(fd)
            Path(draft).unlink(missing_ok=True)
            raise
        self._fd = fd

    def is_held(self) -> bool:
        """Whether a living process holds the file."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def remove(self, pid: int) -> None:
        """Remove the file unless it names somebody else than `pid`."""
        if self.read() == pid:
            with contextlib.suppress(OSError):
                Path(self.path).unlink()
