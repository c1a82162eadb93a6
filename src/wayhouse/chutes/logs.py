"""The logs of an app: of all its services together, from history and live, across updates and restarts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from wayhouse.base.errors import WayhouseError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.chutes.model import ChuteChanged, LogLine, container_name
from wayhouse.chutes.ports import Engine
from wayhouse.chutes.state import ChuteStore

WAITING_LINES = 1000
PAUSE_S = 1.0


class ChuteLogs:
    def __init__(self, engine: Engine, store: ChuteStore, events: Events) -> None:
        self._engine = engine
        self._store = store
        self._events = events

    async def history(self, name: str, *, tail: int = 200) -> list[LogLine]:
        """The last `tail` lines of every service, in order of time. Raises `NoSuchChuteError`."""
        lines: list[LogLine] = []
        for service in self._store.get(name).spec.services:
            container = container_name(name, service)
            lines.extend([line async for line in self._engine.logs(container, tail=tail)])
        return sorted(lines, key=lambda line: line.timestamp)[-tail:]

    async def follow(self, name: str, *, tail: int = 200) -> AsyncIterator[LogLine]:
        """History, then new lines until the chute is removed. Raises `NoSuchChuteError`.

        A reader that is slower than the app makes the app's log wait for it here, never in memory.
        """
        self._store.get(name)
        queue: asyncio.Queue[LogLine | None] = asyncio.Queue(WAITING_LINES)
        with self._events.subscribe(ChuteChanged) as changes:
            async with Tasks() as tasks:
                tasks.spawn(self._pump_all(name, changes, tasks, queue, tail), name=f"log-{name}")
                while (line := await queue.get()) is not None:
                    yield line

    async def _pump_all(
        self,
        name: str,
        changes: AsyncIterator[ChuteChanged],
        tasks: Tasks,
        queue: asyncio.Queue[LogLine | None],
        tail: int,
    ) -> None:
        """Follow every service, also those that an update brings; when the chute is gone, so is the stream."""
        pumps: dict[str, asyncio.Task[None]] = {}
        chute = self._store.find(name)
        while chute is not None:
            for service in chute.spec.services:
                if service not in pumps or pumps[service].done():
                    pump = self._pump(name, service, queue, tail)
                    pumps[service] = tasks.spawn(pump, name=f"log-{name}-{service}")
            async for change in changes:
                if change.name == name:
                    chute = change.chute
                    break
        await queue.put(None)

    async def _pump(self, chute: str, service: str, queue: asyncio.Queue[LogLine | None], tail: int) -> None:
        """Follow one service while the chute has it; when its container is replaced, go on with the next one, and when
        the engine is away, wait for it."""
        last = ""
        while (installed := self._store.find(chute)) is not None and service in installed.spec.services:
            told = last
            with contextlib.suppress(WayhouseError):
                async for line in self._engine.logs(container_name(chute, service), tail=tail, follow=True):
                    if line.timestamp > told:
                        last = line.timestamp
                        await queue.put(line)
            await asyncio.sleep(PAUSE_S)
