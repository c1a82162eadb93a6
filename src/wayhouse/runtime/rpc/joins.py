"""Waiting for processes beside serving: a pidfd in the loop instead of a look at every turn. Called by `Control`.

Rule: a process that cannot be waited for is logged and forgotten; it stops nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from wayhouse.base.errors import WayhouseError
from wayhouse.runtime.process import Process
from wayhouse.runtime.rpc.engine import IN
from wayhouse.runtime.rpc.epoll_engine import EpollEngine


class Joins:
    def __init__(
        self, engine: EpollEngine, joined: Callable[[int, int], None], log: Callable[[str], None]
    ) -> None:
        self._engine = engine
        self._joined = joined
        self._log = log
        self._waiting: dict[int, Process] = {}
        self.due: list[Process] = []

    def add(self, proc: Process) -> None:
        """May be called twice for one process: the second entry disappears when the first is joined."""
        try:
            fd = os.pidfd_open(proc.pid)
        except (OSError, WayhouseError):
            self.due.append(proc)  # gone, or never started: `settle` tells
            self._engine.wake()
            return
        self._waiting[fd] = proc
        self._engine.watch_fd(fd, IN, lambda _: self._ended(fd))

    def settle(self) -> None:
        """Join those that have ended."""
        due, self.due = self.due, []
        for proc in due:
            self._join(proc)

    def _ended(self, fd: int) -> None:
        self._engine.unwatch_fd(fd)
        proc = self._waiting.pop(fd)
        with contextlib.suppress(OSError):
            os.close(fd)
        self.due.append(proc)

    def _join(self, proc: Process) -> None:
        try:
            pid, status = proc.join_nohang()
        except (WayhouseError, OSError) as error:
            self._log(f"deferred join failed: {type(error).__name__}: {error}")
            return
        if pid:
            self._joined(pid, status)
