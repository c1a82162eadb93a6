"""What the daemon does by itself beside serving: bringing chutes back, and dropping what nothing needs. Called by `life.py`."""

from __future__ import annotations

import asyncio

from wayhouse.base.tasks import Tasks
from wayhouse.chutes.reconcile import Reconciler


class Housekeeping:
    """Runs from `carry_on` to `rest`, as often as wanted."""

    def __init__(self, reconciler: Reconciler, tasks: Tasks) -> None:
        self._reconciler = reconciler
        self._tasks = tasks
        self._running: list[asyncio.Task[None]] = []

    def carry_on(self) -> None:
        self._running = [
            self._tasks.spawn(self._reconciler.align(), name="align"),
            self._tasks.spawn(self._reconciler.keep_house(), name="housekeeping"),
        ]

    async def rest(self) -> None:
        """Both can be cut short anywhere: what they ask for are changes, and what they drop nobody needs."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
