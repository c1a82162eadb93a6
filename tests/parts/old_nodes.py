"""Nodes that speak as old ones do, in one process, on the fakes of `overlay_nodes`; their tunnels take frames of controllers, and keep them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tests.parts import old_ends
from tests.parts.overlay_nodes import House, TestNode
from wayhouse.overlay.drivers.fake_path import FakePath
from wayhouse.overlay.engine.fake import FakeTunnel
from wayhouse.overlay.ethernet import mac_of
from wayhouse.overlay.legacy.old_trust import OldTrust
from wayhouse.overlay.model import NoSuchPeerError, PathSettings
from wayhouse.overlay.node_parts import NodeParts, NodeSettings
from wayhouse.overlay.trust import MemoryPins


class FrameFake(FakeTunnel):
    """`ports.FrameTunnel`."""

    mac = mac_of("12" * 20).hex(":")
    is_switch = False

    def set_switching(self, *, is_on: bool) -> None:
        self.is_switch = is_on

    def put_frame(self, source: str, frame: bytes) -> None:
        self.received.append(bytes.fromhex(source) + frame)

    def send_frame(self, destination: str, frame: bytes) -> None:
        if not any(key.startswith(bytes.fromhex(destination)) for key in self.peers):
            raise NoSuchPeerError("There is no link.")
        self.delivered.append((bytes.fromhex(destination), frame))


class OldHouse(House):
    """`node(uid, ...)` as ever; `trust` is an `OldTrust`."""

    @contextlib.asynccontextmanager
    async def bare(
        self, uid, *, settings=None, membership=None, trust=None, seed=None
    ) -> AsyncIterator[TestNode]:
        identity = old_ends.identity(uid)

        def open_tunnel(private_key: bytes) -> FrameFake:
            self.tunnels[uid] = FrameFake(self.wire, identity.tunnel_public_key, clock=self.clock.monotonic)
            return self.tunnels[uid]

        def make_path(peer: str, settings: PathSettings, *, is_controlling: bool) -> FakePath:
            return self.net.path(node.uid, peer, settings)

        parts = NodeParts(
            clock=self.clock,
            trust=trust or OldTrust(MemoryPins(), self.clock),
            identify=lambda given: identity,
            open_tunnel=open_tunnel,
            make_path=make_path,
        )
        node = TestNode(parts, settings or NodeSettings(is_old=True))
        async with node:
            yield node
