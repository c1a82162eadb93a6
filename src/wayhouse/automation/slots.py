"""How many processes of scenarios there are at once, and whose turn is next.

Used by `scenario_run`. Rule: whoever waits for long gives its process up when another wants one; it gets one again when its wait is over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

Yield = Callable[[], None]


class Slots:
    def __init__(self, limit: int) -> None:
        self._free = limit
        self._queue: deque[asyncio.Future[None]] = deque()
        self._idle: dict[object, Yield] = {}

    async def acquire(self) -> None:
        """Returns when there may be one more process."""
        if self._free > 0 and not self._queue:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        self._ask_for_one()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()
            elif turn in self._queue:
                self._queue.remove(turn)
            raise

    def release(self) -> None:
        self._free += 1
        while self._free > 0 and self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)

    def idle(self, who: object, give_up: Yield) -> None:
        """`who` waits: `give_up` ends its process and releases its place."""
        self._idle[who] = give_up
        if self._queue:
            self._ask_for_one()

    def busy(self, who: object) -> None:
        """It waits no more."""
        self._idle.pop(who, None)

    def _ask_for_one(self) -> None:
        if self._idle:
            who = next(iter(self._idle))
            self._idle.pop(who)()
