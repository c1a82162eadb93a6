"""The whole gateway of `house`, with its bus running: real processes, which end with the test."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from tests.parts.house import SETTINGS, House, house
from wayhouse.base.tasks import Tasks
from wayhouse.bus.processes import BusSettings
from wayhouse.gateway.assemble_things import LOCK_FILE


@asynccontextmanager
async def bus_house(directory: Path) -> AsyncIterator[House]:
    settings = msgspec.structs.replace(SETTINGS, bus=BusSettings(port=0))
    async with house(directory, settings) as one, Tasks() as tasks:
        one.paths.runtime.mkdir(parents=True, exist_ok=True)
        with (one.paths.data / LOCK_FILE).open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            async with one.gateway.rooms.bus as bus:
                await bus.start()
                bus.go_on(tasks)
                await asyncio.wait_for(bus.ready(), 30)
                yield one
