"""The logs of an app: of all its services together, from history and live, across updates and restarts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from wayhouse.base.clock import Clock, SystemClock
from wayhouse.base.errors import WayhouseError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.chutes.log_cursor import LogCursor, LogPlace, moment
from wayhouse.chutes.model import ChuteChanged, LogLine, container_name
from wayhouse.chutes.ports import Engine
from wayhouse.chutes.state import ChuteStore

WAITING_LINES = 1000
PAUSE_S = 1.0


class ChuteLogs:
    def __init__(self, engine: Engine, store: ChuteStore, events: Events, clock: Clock | None = None) -> None:
        self._engine = engine
        self._store = store
        self._events = events
        self._clock = clock or SystemClock()

    def here(self) -> LogCursor:
        """The cursor of a reader who begins to follow now."""
        return LogCursor(moment(self._clock.wall()))

    async def history(self, name: str, *, tail: int = 200) -> list[LogLine]:
        """The last `tail` lines of every service, in order of time. Raises `NoSuchChuteError`."""
        lines: list[LogLine] = []
        for service in self._store.get(name).spec.services:
            container = container_name(name, service)
            lines.extend([line async for line in self._engine.logs(container, tail=tail)])
        return sorted(lines, key=lambda line: line.timestamp)[-tail:]

    async def follow(
        self, name: str, *, tail: int = 200, cursor: LogCursor | None = None
    ) -> AsyncIterator[LogLine]:
        """History, then new lines until the chute is removed. Raises `NoSuchChuteError`.

        With a cursor, everything after it; `tail` is then for services of which nothing was seen.

        A reader that is slower than the app makes the app's log wait for it here, never in memory.
        """
        self._store.get(name)
        queue: _Queue = asyncio.Queue(WAITING_LINES)
        start = _Start(tail, cursor or LogCursor())
        with self._events.subscribe(ChuteChanged) as changes:
            async with Tasks() as tasks:
                tasks.spawn(self._pump_all(name, changes, tasks, queue, start), name=f"log-{name}")
                while (line := await queue.get()) is not None:
                    yield line

    async def _pump_all(
        self, name: str, changes: AsyncIterator[ChuteChanged], tasks: Tasks, queue: _Queue, start: _Start
    ) -> None:
        """Follow every service, also those that an update brings; when the chute is gone, so is the stream."""
        pumps: dict[str, asyncio.Task[None]] = {}
        chute = self._store.find(name)
        while chute is not None:
            for service in chute.spec.services:
                if service not in pumps or pumps[service].done():
                    pump = self._pump(name, service, queue, start)
                    pumps[service] = tasks.spawn(pump, name=f"log-{name}-{service}")
            async for change in changes:
                if change.name == name:
                    chute = change.chute
                    break
        await queue.put(None)

    async def _pump(self, chute: str, service: str, queue: _Queue, start: _Start) -> None:
        """Follow one service while the chute has it; when its container is replaced, go on with the next one, and when
        the engine is away, wait for it."""
        container = container_name(chute, service)
        place = start.cursor.places.get(service) or LogPlace(start.cursor.begun)
        unseen = start.tail if place.lines == 0 and place.stamp else 0
        while (installed := self._store.find(chute)) is not None and service in installed.spec.services:
            with contextlib.suppress(WayhouseError):
                for line in await self._before(container, place.stamp, unseen):
                    await queue.put(line)
                unseen = 0
                lines = self._engine.logs(container, tail=start.tail, follow=True, since=place.stamp)
                async with contextlib.aclosing(place.beyond(lines)) as fresh:  # type: ignore[type-var]
                    async for line in fresh:
                        place = place.after(line)
                        await queue.put(line)
            await asyncio.sleep(PAUSE_S)

    async def _before(self, container: str, stamp: str, count: int) -> list[LogLine]:
        """The last `count` lines before the moment `stamp`."""
        if count == 0:
            return []
        later = 0
        async for _ in self._engine.logs(container, since=stamp):
            later += 1
        lines = [line async for line in self._engine.logs(container, tail=count + later)]
        return [line for line in lines if line.timestamp < stamp][-count:]


class _Start(NamedTuple):
    tail: int
    cursor: LogCursor


_Queue = asyncio.Queue[LogLine | None]
