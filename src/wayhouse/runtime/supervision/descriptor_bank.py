"""Descriptors kept for a child over its restart, as systemd's file descriptor store does it; see sd_notify(3), FDSTORE.

Called by the driver of supervision. Rules: at most `limit`, the rest is refused and closed; one whose peer has hung up is
dropped, a listening socket never is; all are closed on exec, only the next incarnation gets copies.
"""

from __future__ import annotations

import os
import select
import socket
import stat
from collections.abc import Iterator, Sequence


class DescriptorBank:
    """`fileno()` can be read from when there is something to `sweep`."""

    def __init__(self, limit: int = 4096) -> None:
        self.limit = limit
        self._names: dict[int, str] = {}
        self._polled: set[int] = set()
        self._epoll = select.epoll()

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """`(name, descriptor)` in the order in which they came."""
        return iter([(name, fd) for fd, name in self._names.items()])

    def polls(self, fd: int) -> bool:
        """Whether a hang-up of this one is looked for."""
        return fd in self._polled

    def fileno(self) -> int:
        return self._epoll.fileno()

    def store(self, name: str, fds: Sequence[int], *, poll: bool = True) -> int:
        """Take them over; answers how many were refused. A socket that is here already is not kept twice."""
        refused = 0
        for fd in fds:
            if self._knows(fd):
                os.close(fd)
            elif len(self._names) >= self.limit:
                os.close(fd)
                refused += 1
            else:
                self._keep(name, fd, poll=poll)
        return refused

    def remove(self, name: str) -> int:
        """Close what is kept under that name; answers how many there were."""
        return self._drop([fd for fd, kept in self._names.items() if kept == name])

    def sweep(self) -> int:
        """Close those whose peer has hung up; answers how many."""
        ended = select.EPOLLHUP | select.EPOLLERR
        return self._drop([fd for fd, events in self._epoll.poll(0) if events & ended])

    def clear(self) -> None:
        self._drop(list(self._names))

    def close(self) -> None:
        self.clear()
        self._epoll.close()

    def _keep(self, name: str, fd: int, *, poll: bool) -> None:
        os.set_inheritable(fd, False)
        self._names[fd] = name
        if poll and not _listens(fd):
            try:
                self._epoll.register(fd, 0)
            except PermissionError:  # a plain file: it has no peer
                return
            self._polled.add(fd)

    def _drop(self, fds: Sequence[int]) -> int:
        for fd in fds:
            if fd in self._polled:  # the file lives on in the child: closing alone would leave it registered
                self._polled.discard(fd)
                self._epoll.unregister(fd)
            del self._names[fd]
            os.close(fd)
        return len(fds)

    def _knows(self, fd: int) -> bool:
        found = os.fstat(fd)
        if not stat.S_ISSOCK(found.st_mode):  # both ends of a pipe are one file, so it cannot be told
            return False
        return any(os.path.samestat(found, os.fstat(kept)) for kept in self._names)


def _listens(fd: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(fd)) as sock:
            return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
