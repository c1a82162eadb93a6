"""How often a run may ask: as fast as it likes for a while, then so often a second that the gateway has time for others.

Used by `calls`.
"""

from __future__ import annotations

from wayhouse.base.clock import Clock

BURST = 2000
PER_S = 500.0


class Pace:
    def __init__(self, clock: Clock, burst: int = BURST, per_s: float = PER_S) -> None:
        self._clock = clock
        self._burst, self._per_s = float(burst), per_s
        self._left = self._burst
        self._at = clock.monotonic()

    async def turn(self) -> None:
        """Returns when it may ask once more."""
        now = self._clock.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s) - 1
        self._at = now
        if self._left < 0:
            await self._clock.sleep(-self._left / self._per_s)
