"""The whole gateway as `assemble` puts it together, on a fake engine and in one process, with a user of every role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.parts import asgi
from wayhouse.access.model import INTERNAL, AccessSettings, Identity, Role
from wayhouse.base.clock import SystemClock
from wayhouse.base.database import Database
from wayhouse.base.events import Events
from wayhouse.base.settings import Paths
from wayhouse.base.tasks import Tasks
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.chutes.model import ChuteSettings
from wayhouse.gateway.assemble import Gateway, assemble
from wayhouse.gateway.settings import Settings
from wayhouse.host.drivers.shutdown import FakePower
from wayhouse.ledger.model import Actor

PASSWORD = "a-long-password"
SETTINGS = Settings(
    access=AccessSettings(argon2_memory_kib=8, argon2_time=1),
    chutes=ChuteSettings(settle_s=0.0, web_wait_s=0.0, min_free_bytes=0),
)


class House(msgspec.Struct, kw_only=True):
    gateway: Gateway
    engine: FakeEngine
    power: FakePower
    events: Events
    paths: Paths

    @property
    def app(self) -> Any:
        return self.gateway.app

    def bearer(self, who: str) -> dict[str, str]:
        """The header of a user (all are called as their role), or of a chute: `chute:<name>`."""
        return {"authorization": f"Bearer {self.token(who)}"}

    def token(self, who: str) -> str:
        if who.startswith("chute:"):
            return self.gateway.chutes.get(who.removeprefix("chute:")).token
        return self.gateway.access.issue(self.identity(who))

    def cookie(self, who: str, client: str = "203.0.113.9") -> str:
        """What the page keeps in a browser at `client`."""
        return self.gateway.access.issue(self.identity(who), page_client=client)

    def identity(self, who: str) -> Identity:
        return msgspec.structs.replace(self.gateway.access.users.get(who).identity, via="jwt")

    async def ask(
        self, method: str, target: str, body: Any = None, *, who: str | None = "admin", **more: Any
    ) -> asgi.Answer:
        headers = {**(self.bearer(who) if who else {}), **more.pop("headers", {})}
        return await asgi.ask(self.app, method, target, body, headers=headers, **more)

    def websocket(self, target: str, *, who: str | None = "admin", **more: Any) -> Any:
        headers = {**(self.bearer(who) if who else {}), **more.pop("headers", {})}
        return asgi.websocket(self.app, target, headers=headers, **more)

    def exchange(self, method: str, target: str, *, who: str | None = "admin", **more: Any) -> Any:
        headers = {**(self.bearer(who) if who else {}), **more.pop("headers", {})}
        return asgi.exchange(self.app, method, target, headers=headers, **more)

    async def install(self, name: str, owner: str = "admin", **fields: Any) -> None:
        """A chute of one service, running."""
        role = self.gateway.access.users.get(owner).role.label
        document = {"name": name, "services": {"main": {"type": "image", "image": "app"}}, **fields}
        received = await self.gateway.chutes.receive_config(document)
        change = await self.gateway.chutes.create(received, Actor(owner, "localhost", role))
        done = await self.gateway.ledger.wait(change.id)
        assert done.state == "succeeded", done


@asynccontextmanager
async def house(
    directory: Path, settings: Settings = SETTINGS, *, engine: FakeEngine | None = None
) -> AsyncIterator[House]:
    paths = Paths.under(directory)
    homes = directory / "homes"
    homes.mkdir(parents=True, exist_ok=True)
    replace = msgspec.structs.replace
    settings = replace(settings, access=replace(settings.access, homes=str(homes)))
    database, events = Database(paths.data / "wayhouse.db"), Events()
    engine, power = engine or FakeEngine(), FakePower()
    try:
        async with Tasks() as tasks:
            gateway = await assemble(
                settings, paths, database=database, events=events, clock=SystemClock(), tasks=tasks,
                env={"HOME": "/root", "SOME_TOKEN": "hidden"}, instance="test", port=8080, engine=engine, switch=power,
            )  # fmt: skip
            await gateway.access.start(PASSWORD)
            await gateway.ledger.start()
            for role in Role:
                await gateway.access.users.add(INTERNAL, role.label, PASSWORD, role)
            yield House(gateway=gateway, engine=engine, power=power, events=events, paths=paths)
            await gateway.forward.close()
    finally:
        database.close()
