"""One overview of the bus each second for all who look on, and none while nobody does. Used by the resource of the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from wayhouse.base import codec

EACH_S = 1.0


class Pulse:
    """`make` is asked at most once in `each_s` seconds, however many wait; whoever waits first asks for all."""

    def __init__(self, make: Callable[[], Awaitable[object]], each_s: float = EACH_S) -> None:
        self._make = make
        self._each_s = each_s
        self._lock = asyncio.Lock()
        self._number = 0
        self._at = 0.0
        self._text = ""

    async def after(self, number: int) -> tuple[int, str]:
        """The newest as JSON with its number, which is another than `number` (0: whichever is not old)."""
        if self._is_news(number):
            return self._number, self._text
        async with self._lock:
            if not self._is_news(number):
                loop = asyncio.get_running_loop()
                await asyncio.sleep(max(0.0, self._at + self._each_s - loop.time()) if self._number else 0.0)
                text = codec.encode_json(await self._make()).decode()
                self._number, self._at, self._text = self._number + 1, loop.time(), text
        return self._number, self._text

    def _is_news(self, number: int) -> bool:
        is_new = self._number and asyncio.get_running_loop().time() < self._at + self._each_s
        return bool(self._number > number and is_new)
