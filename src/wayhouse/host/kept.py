"""A value that is read at most every so often, however many ask; those who ask while it is being read share the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from wayhouse.base.clock import Clock

T = TypeVar("T")


class Kept(Generic[T]):
    """`read` may block: it runs in a thread. What it returned is good for `fresh_s` seconds."""

    def __init__(self, read: Callable[[], T], clock: Clock, fresh_s: float) -> None:
        self._read = read
        self._clock = clock
        self._fresh_s = fresh_s
        self._one_reads = asyncio.Lock()
        self._known: tuple[float, T] | None = None

    async def get(self) -> T:
        if self._known is not None and self._is_fresh(self._known[0]):
            return self._known[1]
        async with self._one_reads:
            if self._known is None or not self._is_fresh(self._known[0]):
                begun = self._clock.monotonic()
                self._known = (begun, await asyncio.to_thread(self._read))
            return self._known[1]

    def _is_fresh(self, since: float) -> bool:
        return 0 <= self._clock.monotonic() - since < self._fresh_s
