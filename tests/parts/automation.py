"""Jobs, scenarios and the clock behind their part of the API, without the rest of a gateway: on real disks, clocks and sandboxes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.parts import asgi
from wayhouse.access.model import Identity, Role
from wayhouse.api import endpoints
from wayhouse.api.http import Api, ApiSettings
from wayhouse.api.resources.clock import ClockResource
from wayhouse.api.resources.crons import CronResource
from wayhouse.api.resources.scenarios import ScenarioResource
from wayhouse.automation.clock_model import ClockSettings
from wayhouse.automation.clocksync import ClockSync
from wayhouse.automation.cron_service import CronManager
from wayhouse.automation.drivers.hwclock import HardwareClock
from wayhouse.automation.drivers.programs import Programs
from wayhouse.automation.model import Value
from wayhouse.automation.scenario_service import ScenarioManager
from wayhouse.base.clock import SystemClock
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError
from wayhouse.base.events import Events
from wayhouse.base.metrics import Metrics
from wayhouse.base.tasks import Tasks


class House:
    """What scenarios do to the world, and look at: two devices and their past."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {"device:room": 20.0, "device:lamp": False}
        self.past: dict[str, list[tuple[float, Value]]] = {}
        self.done: list[tuple[str, str, Value]] = []
        self.keys: dict[str, bytes] = {}

    async def command(self, device: str, command: str, value: Value, *, request_id: str) -> Value:
        self.done.append((device, command, value))
        return value

    async def settled(self, request_id: str) -> None: ...

    def publish(self, key: str, body: bytes, ttl_s: float | None = None) -> None:
        self.keys[key] = body

    def current(self, source: str) -> Value:
        return self.values.get(source)

    def check(self, source: str) -> None:
        if not source.startswith(("device:", "cron:", "key:")):
            raise BadInputError(f"`{source}` is no source.")

    async def readings(self, source: str, start: float, end: float) -> Sequence[tuple[float, Value]]:
        return [(at, value) for at, value in self.past.get(source, []) if start <= at <= end]


class Door:
    """Lets in whoever says who he is: `Authorization: <role>`, or none on a socket that is the owner's."""

    async def authenticate(
        self, authorization: str | None, *, cookie_token: str | None = None, client: str = ""
    ) -> Identity:
        label = (authorization or "guest").removeprefix("Bearer ")
        return Identity("somebody", role=Role[label.upper()], via="jwt")

    def identify_peer(self, uid: int) -> Identity | None:
        return Identity("root", role=Role.OWNER)


class Automation(msgspec.Struct, kw_only=True):
    house: House
    crons: CronManager
    scenarios: ScenarioManager
    events: Events
    programs: Path
    app: Any

    async def ask(
        self, method: str, target: str, body: Any = None, *, who: str = "admin", **more: Any
    ) -> asgi.Answer:
        return await asgi.ask(self.app, method, target, body, headers={"authorization": who}, **more)

    def websocket(self, target: str, *, who: str = "admin") -> Any:
        return asgi.websocket(self.app, target, headers={"authorization": who})

    def exchange(self, method: str, target: str, **more: Any) -> Any:
        headers = {"authorization": "admin", **more.pop("headers", {})}
        return asgi.exchange(self.app, method, target, headers=headers, **more)


@asynccontextmanager
async def automation(directory: Path) -> AsyncIterator[Automation]:
    """`directory` holds the database, and in `bin` the only programs that the clock finds."""
    programs = directory / "bin"
    programs.mkdir(parents=True)
    database, clock, events, house = Database(directory / "a.db"), SystemClock(), Events(), House()
    try:
        async with Tasks() as tasks:
            crons = CronManager(database, clock, events, tasks)
            scenarios = ScenarioManager(
                database, clock, events, tasks, actions=house, sources=house, crons=crons
            )
            found = Programs(f"{programs}:/bin")
            hardware = HardwareClock(
                found, since_epoch=directory / "since_epoch", adjtime=directory / "adjtime"
            )
            sync = ClockSync(
                ClockSettings(may_set=True), clock, events, tasks, programs=found, hardware=hardware
            )
            scenarios.start()
            crons.start()
            app = Api(
                endpoints.AUTOMATION,
                (CronResource(crons), ScenarioResource(scenarios, events), ClockResource(sync)),
                access=Door(),
                audit=lambda *_: None,
                owner_of=lambda _: None,
                settings=ApiSettings(),
                metrics=Metrics(),
                otherwise=_nothing,
            )
            yield Automation(
                house=house, crons=crons, scenarios=scenarios, events=events, programs=programs, app=app
            )
            await scenarios.stop()
            await crons.stop()
    finally:
        database.close()


async def _nothing(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})
