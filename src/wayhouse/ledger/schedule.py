"""Which queued change may start now: a pure machine, driven by `Ledger`.

Changes of one resource run strictly in the order they were asked for; changes of different resources run at the same
time, at most `width` together.
"""

from __future__ import annotations

from collections import OrderedDict


class Schedule:
    def __init__(self, width: int = 4) -> None:
        self._width = width
        self._queued: OrderedDict[int, str] = OrderedDict()
        self._running: dict[int, str] = {}

    def add(self, change_id: int, resource: str) -> None:
        self._queued[change_id] = resource

    def remove(self, change_id: int) -> bool:
        """Take a queued change out; False if it is not queued (any more)."""
        return self._queued.pop(change_id, None) is not None

    def start(self) -> list[int]:
        """Move every change that may run from queued to running, and name them in order."""
        busy = set(self._running.values())
        started: list[int] = []
        for change_id, resource in tuple(self._queued.items()):
            if len(self._running) >= self._width:
                break
            if resource not in busy:
                self._running[change_id] = self._queued.pop(change_id)
                started.append(change_id)
            busy.add(resource)
        return started

    def finish(self, change_id: int) -> None:
        self._running.pop(change_id, None)

    @property
    def queued(self) -> tuple[int, ...]:
        return tuple(self._queued)

    @property
    def running(self) -> tuple[int, ...]:
        return tuple(self._running)
