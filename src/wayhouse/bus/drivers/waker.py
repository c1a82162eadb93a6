"""A descriptor that another thread makes readable, so that a loop which waits for sockets hears of a wish at once.

Called by the clients and workers that run in a thread of their own.
"""

from __future__ import annotations

import contextlib
import os


class Waker:
    """`wake` may be called from any thread and from a signal handler, also after `close`."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        return self._fd

    def wake(self) -> None:
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.eventfd_write(self._fd, 1)

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            os.eventfd_read(self._fd)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
