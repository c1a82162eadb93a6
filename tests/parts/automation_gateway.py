"""The automation part of a gateway in a thread, on its socket, for the commands."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.parts.automation import Automation, automation
from wayhouse.base.settings import Paths
from wayhouse.base.tasks import Tasks
from wayhouse.gateway.listeners import bind_unix, server


class Running:
    """`do` runs a coroutine where the gateway lives."""

    home: Automation
    loop: asyncio.AbstractEventLoop
    _stop: asyncio.Event

    def __init__(self, base: Path) -> None:
        self.base = base
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _live(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        path = Paths.under(self.base).socket
        path.parent.mkdir(parents=True)
        async with automation(self.base / "automation") as self.home, Tasks() as tasks:
            one = server(self.home.app)
            tasks.spawn(one.serve([bind_unix(path, 0o660)]), name="http")
            while not one.started:
                await asyncio.sleep(0.005)
            self._ready.set()
            await self._stop.wait()
            one.should_exit = one.force_exit = True
            await asyncio.sleep(0.1)


@contextmanager
def running(base: Path) -> Iterator[Running]:
    one = Running(base)
    one._thread.start()
    assert one._ready.wait(30)
    try:
        yield one
    finally:
        one.loop.call_soon_threadsafe(one._stop.set)
        one._thread.join()


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A fresh one for each test."""
    with running(tmp_path_factory.mktemp("g")) as one:
        yield one


@pytest.fixture
def tell(bare: Any, house: Running, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command on it."""
    monkeypatch.setenv("WAYHOUSE_DATA", str(house.base))
    monkeypatch.setenv("TZ", "UTC")
    return bare
