"""The API of the devices alone, over the fake house on a clock that tests move, for users who are called as their role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.parts import asgi
from wayhouse.access.model import Identity, Role
from wayhouse.api.endpoints import DEVICES
from wayhouse.api.http import Api, ApiSettings
from wayhouse.api.resources.devices import DeviceResource
from wayhouse.api.resources.readings import ReadingResource
from wayhouse.base.clock import ManualClock
from wayhouse.base.database import Database
from wayhouse.base.events import Events
from wayhouse.base.metrics import Metrics
from wayhouse.devices.drivers.fake import FakeDriver
from wayhouse.devices.service import Devices

PNG = b"\x89PNG\r\n\x1a\n"


class Roles:
    """`Authorization: <role>` is a user of that role."""

    async def authenticate(
        self, authorization: str | None, *, cookie_token: str | None = None, client: str = ""
    ) -> Identity:
        role = Role.named(authorization or "guest")
        return Identity(role.label, "localhost", role, via="jwt")

    def identify_peer(self, uid: int) -> Identity | None:
        return None


class DevicesApi:
    def __init__(self, database: Database) -> None:
        self.clock, self.events, self.fake = ManualClock(), Events(), FakeDriver()
        self.devices = Devices(database, self.events, self.clock, [self.fake], hostname="here")
        self.audit: list[tuple[str, ...]] = []
        resources = (
            DeviceResource(self.devices, self.events, self._picture),
            ReadingResource(self.devices),
        )
        self.app = Api(
            DEVICES,
            resources,
            access=Roles(),
            audit=lambda _, *line: self.audit.append(line),
            owner_of=lambda _: None,
            settings=ApiSettings(),
            metrics=Metrics(),
            otherwise=self._nothing,
        )

    async def ask(
        self, method: str, target: str, body: Any = None, *, who: str = "admin", accept: str = "*/*"
    ) -> asgi.Answer:
        headers = {"authorization": who, "accept": accept}
        return await asgi.ask(self.app, method, target, body, headers=headers)

    def websocket(self, target: str, *, who: str = "admin") -> Any:
        return asgi.websocket(self.app, target, headers={"authorization": who})

    def exchange(self, method: str, target: str, *, headers: dict[str, str], who: str = "admin") -> Any:
        return asgi.exchange(self.app, method, target, headers={"authorization": who, **headers})

    async def _picture(self, device_id: str) -> tuple[bytes, str] | None:
        is_tv = self.devices.get(device_id).oid == "media.tv"
        return (PNG, "image/png") if is_tv else None

    async def _nothing(self, scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError(scope["path"])


@asynccontextmanager
async def devices_api(directory: Path) -> AsyncIterator[DevicesApi]:
    """The fake house, looked at and polled once."""
    database = Database(directory / "state.db")
    try:
        one = DevicesApi(database)
        server = one.devices._servers["fake"]
        await server.round()
        yield one
    finally:
        database.close()
