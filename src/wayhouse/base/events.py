"""One fact stream: rooms publish what happened, whoever cares subscribes by type.

Publishing never waits. A subscriber that falls behind loses the oldest facts and is told how many (`lost`), so a slow
browser cannot hold the gateway's memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

E = TypeVar("E")


class Subscription(Generic[E]):
    """An async iterator of events; close it (or leave its `with`) to stop receiving."""

    def __init__(self, limit: int, on_close: Callable[[Subscription[E]], None]) -> None:
        self._queue: deque[E] = deque(maxlen=limit)
        self._wake = asyncio.Event()
        self._on_close = on_close
        self._closed = False
        self.lost = 0

    def push(self, event: E) -> None:
        if len(self._queue) == self._queue.maxlen:
            self.lost += 1
        self._queue.append(event)
        self._wake.set()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._on_close(self)
            self._wake.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[E]:
        return self

    async def __anext__(self) -> E:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._queue.popleft()


class Events:
    """The hub. `subscribe(A, B)` receives events whose class is exactly A or B; no argument means all."""

    def __init__(self) -> None:
        self._by_type: dict[type[Any], set[Subscription[Any]]] = {}
        self._all: set[Subscription[Any]] = set()

    def publish(self, event: object) -> None:
        for subscription in tuple(self._by_type.get(type(event), ())):
            subscription.push(event)
        for subscription in tuple(self._all):
            subscription.push(event)

    def subscribe(self, *kinds: type[E], limit: int = 1000) -> Subscription[E]:
        subscription: Subscription[E] = Subscription(limit, self._forget)
        if not kinds:
            self._all.add(subscription)
        for kind in kinds:
            self._by_type.setdefault(kind, set()).add(subscription)
        return subscription

    def _forget(self, subscription: Subscription[Any]) -> None:
        self._all.discard(subscription)
        for members in self._by_type.values():
            members.discard(subscription)
