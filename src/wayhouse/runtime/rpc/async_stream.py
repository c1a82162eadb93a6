"""The client's end of a stream on asyncio. Called by `AsyncRemote.stream`.

Rule: as in `remote_stream.py`, never more is queued here than was granted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Self

import msgspec

from wayhouse.runtime.exceptions import exception_factory
from wayhouse.runtime.rpc.messages import Answer
from wayhouse.runtime.rpc.wire import End, Item


class AsyncStream:
    """Iterate with `async for`, best in an `async with` block, which stops it when it is left early."""

    def __init__(
        self, number: int, window: int, grant: Callable[[int, int], None], end: Callable[[int], None]
    ) -> None:
        self.number = number
        self._window = window
        self._grant = grant
        self._end = end
        self._owed = 0
        self._queue: deque[Item | End | Answer | Exception] = deque()
        self._there = asyncio.Event()
        self._over = False

    def put(self, event: Item | End | Answer) -> None:
        self._queue.append(event)
        self._there.set()

    def fail(self, error: Exception) -> None:
        self._queue.append(error)
        self._there.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._over:
            raise StopAsyncIteration
        while not self._queue:
            self._there.clear()
            await self._there.wait()
        event = self._queue.popleft()
        if isinstance(event, Item):
            self._pay(event.cost)
            return event.value
        self._over = True
        if isinstance(event, Exception):
            raise event
        if isinstance(event, Answer) and event.exception is not msgspec.UNSET:
            raise exception_factory(event.exception)
        if isinstance(event, Answer):
            raise TypeError("the method is no stream: call it as usual")
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop early; what is on its way is dropped."""
        if not self._over:
            self._over = True
            self._end(self.number)

    def _pay(self, cost: int) -> None:
        self._owed += cost
        if self._owed >= self._window // 2:
            self._grant(self.number, self._owed)
            self._owed = 0
