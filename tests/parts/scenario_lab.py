"""A house in memory for scenarios: devices that keep what they were told, sources that say what a test makes them say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from wayhouse.automation.model import Value
from wayhouse.automation.ports import Crons
from wayhouse.automation.runs import RunSummary, ScenarioSettings, State
from wayhouse.automation.scenario import Conf, Scenario
from wayhouse.automation.scenario_service import ScenarioManager
from wayhouse.base.clock import Clock, SystemClock
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError, NotFoundError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks


class House:
    """`done`: each command that was carried out, once; `answers`: what was answered to a request."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.recorded: dict[str, list[tuple[float, Value]]] = {}
        self.done: list[tuple[str, str, Value]] = []
        self.answers: dict[str, Value] = {}
        self.closed: list[str] = []
        self.keys: dict[str, bytes] = {}
        self.asked = 0

    async def command(self, device: str, command: str, value: Value, *, request_id: str) -> Value:
        self.asked += 1
        await asyncio.sleep(0)
        if device == "nowhere":
            raise NotFoundError("There is no device `nowhere`.")
        if device == "defect":
            raise RuntimeError("a defect")
        if request_id not in self.answers:
            self.done.append((device, command, value))
            self.answers[request_id] = len(self.done)
        return self.answers[request_id]

    async def settled(self, request_id: str) -> None:
        self.closed.append(request_id)

    def publish(self, key: str, body: bytes, ttl_s: float | None = None) -> None:
        self.keys[key] = body

    def current(self, source: str) -> Value:
        return self.values.get(source)

    def check(self, source: str) -> None:
        if not source.startswith(("device:", "cron:", "key:")):
            raise BadInputError(f"`{source}` is no source.")

    async def readings(self, source: str, start: float, end: float) -> Sequence[tuple[float, Value]]:
        return [one for one in self.recorded.get(source, []) if start <= one[0] <= end]


class Lab:
    """A manager on a real database, in `async with`. `say` sets a value and tells the manager."""

    def __init__(
        self,
        folder: Path,
        house: House | None = None,
        clock: Clock | None = None,
        crons: Crons | None = None,
        **settings: Any,
    ) -> None:
        self.house = house or House()
        self.clock = clock or SystemClock()
        self.events = Events()
        self.heard = self.events.subscribe(limit=100_000)
        self._folder, self._crons, self._settings = folder, crons, settings

    async def __aenter__(self) -> Self:
        self._database = Database(self._folder / "scenarios.db")
        self.tasks = await Tasks().__aenter__()
        self.manager = ScenarioManager(
            self._database,
            self.clock,
            self.events,
            self.tasks,
            actions=self.house,
            sources=self.house,
            crons=self._crons,
            settings=ScenarioSettings(**self._settings),
        )
        self.manager.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.manager.stop()
        await self.tasks.__aexit__(None, None, None)
        self._database.close()

    def say(self, source: str, value: Value) -> None:
        self.house.values[source] = value
        self.manager.receive(source, value)

    async def add(self, code: str, name: str = "one", *, startup: bool = False, **fields: Any) -> None:
        conf = Conf(active=True, startup=startup)
        await self.manager.add(Scenario(name=name, code=code, conf=conf, **fields))

    async def until(self, is_so: Callable[[], Any], seconds: float = 20) -> Any:
        async with asyncio.timeout(seconds):
            while not (found := is_so()):
                await asyncio.sleep(0.005)
        return found

    async def ended(self, name: str = "one", count: int = 1) -> RunSummary:
        """The newest run, when so many have ended."""
        await self.until(
            lambda: sum(run.ended is not None for run in self.manager.runs(name, limit=1000)) >= count
        )
        await self.until(lambda: self.manager.view(name).state is not State.RUNNING)
        return self.manager.runs(name)[0]

    async def waiting(self, name: str = "one") -> None:
        """Until its run waits."""
        await self.until(
            lambda: self.manager.view(name).state is State.RUNNING and self.manager.view(name).waits
        )

    def printed(self, run: RunSummary) -> list[str]:
        return [step.text for step in self.manager.trace(run.id).steps if step.call in {"print", "log"}]

    def pid(self, name: str = "one") -> int | None:
        """Of the process of its run."""
        run = self.manager._standings[name].run
        return None if run is None else run.pid
