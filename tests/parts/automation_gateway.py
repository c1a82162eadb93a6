"""One part of a gateway in a thread, on its socket, for the commands: that of automation, if nothing else is said."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.parts.automation import automation
from wayhouse.base.settings import Paths
from wayhouse.base.tasks import Tasks
from wayhouse.gateway.listeners import bind_unix, server

Part = Callable[[Path], AbstractAsyncContextManager[Any]]


class Running:
    """`part` makes what has an `app` to serve, which is `home` then; `do` runs a coroutine where it lives."""

    home: Any
    loop: asyncio.AbstractEventLoop
    _stop: asyncio.Event

    def __init__(self, base: Path, part: Part = automation) -> None:
        self.base = base
        self._part = part
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _live(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        path = Paths.under(self.base).socket
        path.parent.mkdir(parents=True)
        async with self._part(self.base / "part") as self.home, Tasks() as tasks:
            one = server(self.home.app)
            tasks.spawn(one.serve([bind_unix(path, 0o660)]), name="http")
            while not one.started:
                await asyncio.sleep(0.005)
            self._ready.set()
            await self._stop.wait()
            one.should_exit = one.force_exit = True
            await asyncio.sleep(0.1)


@contextmanager
def running(base: Path, part: Part = automation) -> Iterator[Running]:
    """On the socket of a gateway whose folder is `base`."""
    one = Running(base, part)
    one.start()
    try:
        yield one
    finally:
        one.stop()


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
