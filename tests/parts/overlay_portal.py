"""The page of a gateway that is in overlays: the portal over the rooms of a whole gateway, with the overlays of `overlay_lab`, whose links are played."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.parts.overlay_lab import AWAY, DIRECT, RELAYED, SUBNET, OverlayLab, overlay_lab
from wayhouse.access.model import Identity, Role
from wayhouse.api.wire import VersionView
from wayhouse.gateway.assemble import Gateway
from wayhouse.host.machine_id import NodeId
from wayhouse.host.service import Host
from wayhouse.overlay.orders import Founding
from wayhouse.portal.service import Portal

PASSWORD = "correct-horse-battery"
PEERS = (DIRECT, RELAYED, AWAY)


class OverlayPortal:
    """`portal` is the page, `lab` what is behind it."""

    def __init__(self, gateway: Gateway, lab: OverlayLab, folder: Path) -> None:
        self.gateway, self.lab = gateway, lab
        rooms = gateway.rooms
        self.portal = Portal(
            access=gateway.access,
            chutes=gateway.chutes,
            ledger=gateway.ledger,
            host=Host(lab.clock, NodeId(folder / "node-id")),
            clock=lab.clock,
            version=VersionView(version="0", engine="fake", engine_version="0", engine_limits=()),
            describe=dict[str, Any],
            session_s=3600,
            devices=rooms.devices,
            pictures=rooms.pictures.of,
            crons=rooms.crons,
            scenarios=rooms.scenarios,
            bus=rooms.bus,
            overlays=lab.overlays,
            received=lab.received_of,
        )

    async def sign_in(self, browser: Any, name: str = "paradrop", role: Role | None = None) -> Any:
        """`browser` speaks to the page as this user, who is added if a role is named."""
        if role is not None:
            await self.gateway.access.users.add(Identity("test", role=Role.OWNER), name, PASSWORD, role)
        reply = await browser.post("/sign-in", data={"username": name, "password": PASSWORD})
        assert reply.status_code == 303, reply.text
        return browser

    async def found(self, name: str = "home") -> None:
        """A group of that name, with three peers: one direct, one relayed, one away."""
        await self.lab.overlays.found(Founding(name=name, subnet=SUBNET))
        self.lab.told(name, *PEERS)


@asynccontextmanager
async def overlay_portal(gateway: Gateway, folder: Path) -> AsyncIterator[OverlayPortal]:
    async with overlay_lab(folder) as lab:
        yield OverlayPortal(gateway, lab, folder)
