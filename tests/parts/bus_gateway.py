"""A gateway with its bus in a thread, on its socket, for the commands."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.parts.bus_house import bus_house
from wayhouse.base.settings import Paths
from wayhouse.base.tasks import Tasks
from wayhouse.bus.model import OK, Frames
from wayhouse.bus.service import Bus
from wayhouse.gateway.listeners import bind_unix, server


async def shout(body: Frames) -> list[bytes]:
    return [*(frame.upper() for frame in body), OK]


class Running:
    """`do` runs a coroutine where the gateway lives. `localhost.shout` is served."""

    bus: Bus
    loop: asyncio.AbstractEventLoop
    _stop: asyncio.Event

    def __init__(self, base: Path) -> None:
        self.base = base
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self.thread.join()

    async def _live(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with bus_house(self.base) as house, Tasks() as tasks:
            self.bus = house.gateway.rooms.bus
            self.bus.serve({"localhost.shout": shout})
            while "waiting" not in (await self.bus.overview()).durable:
                await asyncio.sleep(0.02)
            one = server(house.app)
            tasks.spawn(one.serve([bind_unix(Paths.under(self.base).socket, 0o660)]), name="http")
            while not one.started:
                await asyncio.sleep(0.005)
            self.ready.set()
            await self._stop.wait()
            one.should_exit = one.force_exit = True
            await asyncio.sleep(0.1)


@contextmanager
def running(base: Path) -> Iterator[Running]:
    one = Running(base)
    one.thread.start()
    assert one.ready.wait(30)
    try:
        yield one
    finally:
        one.end()
