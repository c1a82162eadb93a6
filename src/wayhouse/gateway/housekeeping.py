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

    async def rest(self, patience_s: float) -> None:
        """What asks for changes ends by itself, so that none is on disk and not known here; what drops things can be cut
        short anywhere."""
        if not self._running:
            return
        (align, house), self._running = self._running, []
        house.cancel()
        await asyncio.wait({align}, timeout=patience_s)
        align.cancel()
        await asyncio.gather(align, house, return_exceptions=True)
