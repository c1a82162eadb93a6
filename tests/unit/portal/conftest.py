"""A whole gateway in this process, with the engine that runs nothing, and a browser that speaks to its page."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.overlay_portal import OverlayPortal, overlay_portal
from tests.unit.portal.browser import Browser
from wayhouse.access.model import AccessSettings, Identity, Role
from wayhouse.automation.runs import RunChanged
from wayhouse.automation.scenario_service import ScenarioManager
from wayhouse.base.clock import SystemClock
from wayhouse.base.database import Database
from wayhouse.base.events import Events
from wayhouse.base.settings import Paths
from wayhouse.base.tasks import Tasks
from wayhouse.bus.processes import BusSettings
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.chutes.model import ChuteSettings
from wayhouse.devices.drivers.settings import DeviceSettings
from wayhouse.devices.model import DeviceView
from wayhouse.devices.service import Devices
from wayhouse.gateway.assemble import Gateway, assemble
from wayhouse.gateway.settings import Settings

PASSWORD = "correct-horse-battery"
ORIGIN = "http://gateway.test:8080"
SPEC = """\
name: {name}
description: {description}
version: 3
environment: {{GREETING: hello}}
services:
  main:
    type: light
    source: .
    image: python3
    command: [python3, main.py]
"""


class House:
    """The gateway of a test. `browser()` is signed in as the first user, `stranger()` is nobody."""

    def __init__(
        self, gateway: Gateway, engine: FakeEngine, link_code: str, database: Database, events: Events
    ) -> None:
        self.gateway = gateway
        self.events = events
        self.engine = engine
        self.link_code = link_code
        self._database = database

    def stranger(self, **headers: str) -> Browser:
        return Browser(self.gateway.app, ORIGIN, {"origin": ORIGIN, **headers})

    async def browser(self, name: str = "paradrop") -> Browser:
        browser = self.stranger()
        reply = await browser.post("/sign-in", data={"username": name, "password": PASSWORD})
        assert reply.status_code == 303, reply.text
        return browser

    async def user(self, name: str, role: Role) -> Browser:
        await self.gateway.access.users.add(Identity("test", role=Role.OWNER), name, PASSWORD, role)
        return await self.browser(name)

    async def install(self, browser: Browser, name: str, description: str = "An app.") -> int:
        reply = await browser.post(
            "/api/v1/chutes/",
            content=bundle(name, description),
            headers={"content-type": "application/x-tar"},
        )
        assert reply.status_code == 200, reply.text
        return await self.done(reply.json()["change_id"])

    @property
    def devices(self) -> Devices:
        return self.gateway.rooms.devices

    async def look(self) -> None:
        """Have the driver find its devices, and ask each of them once."""
        await self.devices._servers["fake"].round()

    async def device(self, name: str) -> DeviceView:
        """Of the small house of the fake driver, as it is now."""
        if not self.devices.all():
            await self.look()
        return self.devices.get(name)

    async def over(self, run_id: str) -> None:
        """Return once a scenario's run has ended."""
        scenarios = self.gateway.rooms.scenarios
        with self.events.subscribe(RunChanged) as changes:
            if scenarios.trace(run_id).run.ended is None:
                async with asyncio.timeout(20):
                    async for change in changes:
                        if change.run.id == run_id and change.run.ended is not None:
                            return

    async def written(self) -> None:
        """Return once what is written in the background (the audit log) is on disk."""
        await self._database.write(lambda _: None)

    async def done(self, change_id: int) -> int:
        await asyncio.wait_for(self.gateway.ledger.wait(change_id), 10)
        return change_id


def bundle(name: str, description: str = "An app.") -> bytes:
    files = {"paradrop.yaml": SPEC.format(name=name, description=description), "main.py": "print('hi')\n"}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, text in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    paths = Paths.under(tmp_path)
    for path in (paths.config, paths.data, paths.cache, paths.runtime):
        path.mkdir(parents=True)
    settings = Settings(
        access=AccessSettings(argon2_memory_kib=8, argon2_time=1),
        chutes=ChuteSettings(settle_s=0.0, web_wait_s=0.0, min_free_bytes=0),
        bus=BusSettings(port=0),
        devices=DeviceSettings(fake=True),
    )
    engine = FakeEngine(serve=True)
    database = Database(paths.data / "test.db")
    parts: dict[str, Any] = {"database": database, "events": Events(), "clock": SystemClock()}
    try:
        async with Tasks() as tasks:
            gateway = await assemble(
                settings, paths, tasks=tasks, env={}, instance="test", port=8080, engine=engine, **parts
            )
            first = await gateway.access.start(PASSWORD)
            assert first is not None
            await gateway.ledger.start()
            house = House(gateway, engine, first.link_code, database, parts["events"])
            yield house
            await gateway.forward.close()
            await engine.close()
    finally:
        database.close()


@pytest.fixture
async def scenarios(house: House) -> AsyncIterator[ScenarioManager]:
    """Those of the house, watching and able to run."""
    found = house.gateway.rooms.scenarios
    found.start()
    yield found
    await found.stop()


class InOverlay:
    """The house in the overlay `home`; `admin` and `user` are signed in."""

    def __init__(self, house: House, parts: OverlayPortal) -> None:
        self.house, self.parts, self.lab = house, parts, parts.lab
        self.overlays, self.links = parts.lab.overlays, parts.lab.links

    async def start(self) -> None:
        self.admin = await self.parts.sign_in(self.stranger())
        self.user = await self.parts.sign_in(self.stranger(), "uli", Role.USER)

    def stranger(self) -> Browser:
        return Browser(self.parts.portal, ORIGIN, {"origin": ORIGIN})


@pytest.fixture
async def in_overlay(house: House, tmp_path: Path) -> AsyncIterator[InOverlay]:
    async with overlay_portal(house.gateway, tmp_path / "overlay") as parts:
        one = InOverlay(house, parts)
        await one.start()
        await parts.found()
        yield one
