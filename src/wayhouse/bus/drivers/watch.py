"""The descriptors that the poll loop sleeps on, and whom each belongs to.

Called by the loop and by parts that have connections of their own. Rule: who is told is told at every wake-up, until nothing is left to
read or to write.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
MOST = 256
"""Descriptors of one wake-up; the others have their turn after the clock's."""

Handler = Callable[[int], object]
"""Called with what the descriptor is ready for: `READ`, `WRITE`, and others when it has failed."""


class Watch:
    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}

    def add(self, fd: int, handler: Handler, wanted: int = READ) -> None:
        self._epoll.register(fd, wanted)
        self._handlers[fd] = handler

    def change(self, fd: int, wanted: int) -> None:
        self._epoll.modify(fd, wanted)

    def remove(self, fd: int) -> None:
        """To be called before it is closed."""
        if self._handlers.pop(fd, None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)

    def wait(self, timeout_s: float) -> list[tuple[Handler, int]]:
        """Who is to be told of what. One that is gone by its turn was told of nothing: its handler has to bear that."""
        handlers = self._handlers
        return [(handlers[fd], ready) for fd, ready in self._epoll.poll(timeout_s, MOST) if fd in handlers]

    def close(self) -> None:
        self._handlers.clear()
        self._epoll.close()
