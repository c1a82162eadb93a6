"""Two gateways on the loopback, of which one shares: real overlays, devices and doors, with links that are only said to be there.

The one that shares is at 127.0.0.2, the one that is given something comes from 127.0.0.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.parts.overlay_lab import FakeLinks
from wayhouse.base.clock import SystemClock
from wayhouse.base.database import Database
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.devices.drivers.fake import FakeDriver
from wayhouse.devices.service import Devices
from wayhouse.overlay.drivers.door import Door
from wayhouse.overlay.model import LinkStatus
from wayhouse.overlay.orders import Founding, Tuning
from wayhouse.overlay.service import Overlays
from wayhouse.overlay.shares import Share, Visitor
from wayhouse.overlay.views import LinkView, OverlayState

GIVER, TAKER = "127.0.0.2", "127.0.0.1"
GIVER_UID, TAKER_UID = "ab" * 20, "cd" * 20
VISITOR = Visitor(overlay="home", uid=TAKER_UID, name="attic", tags=frozenset({"family"}))
PATIENCE_S = 10.0


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.01)


def link(
    uid: str, name: str, ip4: str, *tags: str, ip6: str = "", status: LinkStatus = LinkStatus.ONLINE
) -> LinkView:
    return LinkView(uid=uid, status=status, state="online", name=name, ip4=ip4, ip6=ip6, tags=tags)


class LoopbackLinks(FakeLinks):
    """All overlays are at `address`, and on no interface unless one is named."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address, self.address6, self.interface = address, "", ""

    def states(self) -> Mapping[str, OverlayState]:
        return {name: self._there(state) for name, state in super().states().items()}

    def _there(self, state: OverlayState) -> OverlayState:
        overlay = msgspec.structs.replace(
            state.overlay, ip4=self.address, ip6=self.address6, interface=self.interface
        )
        return msgspec.structs.replace(state, overlay=overlay)


class FakeServices:
    """A bus on which every service answers with what it was sent, in front its own name and how it was asked."""

    def __init__(self) -> None:
        self.is_up = True
        self.asked: list[tuple[str, bytes]] = []

    async def call(
        self, service: str, request: Sequence[bytes], *, timeout_s: float = 10.0, once: bool = False
    ) -> list[bytes]:
        self.asked.append((service, b""))
        return [service.encode(), b"called", *request]

    async def ask(
        self, service: str, request: Sequence[bytes], *, uuid: bytes, once: bool = False
    ) -> list[bytes]:
        self.asked.append((service, uuid))
        return [service.encode(), b"asked", *request]


class Giver:
    """Has the fake house, and gives of it what `share` says."""

    def __init__(self, database: Database) -> None:
        self.clock, self.events, self.links = SystemClock(), Events(), LoopbackLinks(GIVER)
        self.links.peers["home"] = (link(TAKER_UID, "attic", TAKER, "family"),)
        self.overlays = Overlays(database, self.clock, self.links, hostname="barn", events=self.events)
        self.fake, self.services = FakeDriver(), FakeServices()
        self.devices = Devices(database, self.events, self.clock, [self.fake], hostname="barn")
        self.pages: dict[str, int] = {}
        self.door = self.new_door()

    def new_door(self, port: int = 0) -> Door:
        return Door(
            self.overlays, self.devices, self.services, events=self.events, clock=self.clock, web_port=self.pages.get, port=port
        )  # fmt: skip

    async def share(self, *shares: Share) -> None:
        await self.overlays.tune("home", Tuning(shares=shares))
        await self.door.look()

    @property
    def port(self) -> int:
        (port,) = self.door.ports()
        return port


@asynccontextmanager
async def giver(tmp_path: Path) -> AsyncIterator[Giver]:
    """With its door open and its devices polled once."""
    database = Database(tmp_path / "giver.db")
    try:
        made = Giver(database)
        await made.overlays.found(Founding(name="home", subnet="10.213.0.0/24"))
        async with Tasks() as tasks:
            made.devices.start(tasks)
            tasks.spawn(made.door.run(), name="door")
            await until(lambda: all(one.is_available for one in made.devices.all()) and made.devices.all())
            yield made
    finally:
        made.devices.close()
        database.close()
