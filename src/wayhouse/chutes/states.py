"""What the containers do now, asked of the engine at most once in a while, however many readers there are.

`expire` makes the picture old at once; the service calls it when a chute has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from wayhouse.base.clock import Clock
from wayhouse.chutes.ports import Container, Engine

FRESH_S = 0.8
SHARE_OF_TIME = 20
"""Asking may take one part in this many of the time, so that a thousand containers do not keep the engine busy."""


class States:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._picture: dict[str, Container] = {}
        self._good_until = float("-inf")
        self._expired = 0
        self._lock = asyncio.Lock()
        self.generation = 0

    def expire(self) -> None:
        self._expired += 1
        self._good_until = float("-inf")

    async def current(self) -> Mapping[str, Container]:
        """Containers by name."""
        if self._clock.monotonic() < self._good_until:
            return self._picture
        async with self._lock:
            begun = self._clock.monotonic()
            if begun >= self._good_until:
                expired = self._expired
                picture = {one.name: one for one in await self._engine.containers()}
                if picture != self._picture:
                    self._picture = picture
                    self.generation += 1
                now = self._clock.monotonic()
                if expired == self._expired:  # else the picture may be from before what made it old
                    self._good_until = now + max(FRESH_S, (now - begun) * SHARE_OF_TIME)
        return self._picture
