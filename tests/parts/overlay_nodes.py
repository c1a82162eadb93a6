"""Nodes of an overlay in one process, on fakes: signalling in memory, NATs of our choice, a tunnel without packets' encryption."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator

from wayhouse.base.clock import ManualClock
from wayhouse.overlay.addressing import gen_ip6
from wayhouse.overlay.drivers.fake_path import FakeNet, FakePath
from wayhouse.overlay.drivers.fake_signal import Exchange, FakeSignaller
from wayhouse.overlay.engine.fake import FakeTunnel, FakeWire
from wayhouse.overlay.identity import Identity
from wayhouse.overlay.model import PathSettings
from wayhouse.overlay.node import Node
from wayhouse.overlay.node_parts import NodeParts, NodeSettings
from wayhouse.overlay.notifications import Message, Notification
from wayhouse.overlay.trust import Membership, MemoryPins, Trust
from wayhouse.overlay.wishes import Fact

UIDS = [f"{number:x}" * 40 for number in range(1, 10)]


class House:
    """Everything that nodes share, and the nodes that were made."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.exchange = Exchange()
        self.net = FakeNet()
        self.wire = FakeWire()
        self.tunnels: dict[str, FakeTunnel] = {}

    @contextlib.asynccontextmanager
    async def node(
        self,
        uid: str,
        *,
        ip4: str = "172.31.0.100",
        settings: NodeSettings | None = None,
        membership: Membership | None = None,
        trust: Trust | None = None,
        seed: bytes | None = None,
    ) -> AsyncIterator[TestNode]:
        """Signed in, as `uid`."""
        async with self.bare(uid, settings=settings, membership=membership, trust=trust, seed=seed) as node:
            node.set_local_ip(uid, ip4, gen_ip6(uid))
            node.signaller = self.exchange.signaller(f"fake{uid[:4]}")
            node.add_signaller(node.signaller)
            yield node

    @contextlib.asynccontextmanager
    async def bare(
        self,
        uid: str,
        *,
        settings: NodeSettings | None = None,
        membership: Membership | None = None,
        trust: Trust | None = None,
        seed: bytes | None = None,
    ) -> AsyncIterator[TestNode]:
        """Without a uid; it will be `uid`, as far as the fake net is concerned."""
        secret = seed or hashlib.sha256(uid.encode()).digest()

        def open_tunnel(private_key: bytes) -> FakeTunnel:
            public_key = Identity(secret, uid).tunnel_public_key
            self.tunnels[uid] = FakeTunnel(self.wire, public_key, clock=self.clock.monotonic)
            return self.tunnels[uid]

        def make_path(peer: str, settings: PathSettings, *, is_controlling: bool) -> FakePath:
            return self.net.path(node.uid, peer, settings)

        parts = NodeParts(
            clock=self.clock,
            trust=trust or Trust(MemoryPins(), self.clock, membership),
            identify=lambda given: Identity(secret, given),
            open_tunnel=open_tunnel,
            make_path=make_path,
        )
        node = TestNode(parts, settings)
        async with node:
            yield node


class TestNode(Node):
    """Keeps what it tells."""

    __test__ = False
    signaller: FakeSignaller

    def __init__(self, parts: NodeParts, settings: NodeSettings | None = None) -> None:
        super().__init__(parts, settings)
        self.heard: list[Notification] = []
        self.news: list[Fact] = []
        self.told.append(self.heard.append)
        self.facts.append(self.news.append)

    def messages(self, kind: str) -> list[Message]:
        return [told for told in self.heard if isinstance(told, Message) and told.kind == kind]


def answer_everything(node: Node) -> None:
    """The seed's controller, as a listener: any request or answer makes a link, with addresses in the order of arrival."""

    def hear(told: Notification) -> None:
        if isinstance(told, Message) and told.kind in ("con_req", "con_resp"):
            fingerprint, _, cas = told.data.partition(" ")
            with contextlib.suppress(Exception):
                node.create_link(told.uid, fingerprint, cas)
            if not node.peer(told.uid).has_addresses:
                number = sum(peer.has_addresses for peer in node.peers.values())
                node.set_address(told.uid, f"172.31.0.{101 + number}", gen_ip6(told.uid))

    node.told.append(hear)
    node.introduces = True
