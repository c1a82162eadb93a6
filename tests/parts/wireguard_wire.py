"""WireGuard devices in virtual time, with a network between them that delays, loses, repeats and keeps what was sent."""

from __future__ import annotations

import heapq
import ipaddress
import secrets
from collections.abc import Callable, Hashable

from wayhouse.overlay.ports import PeerSetup
from wayhouse.overlay.wireguard.device import Device
from wayhouse.overlay.wireguard.peer import Peer
from wayhouse.overlay.wireguard.timing import Timing

WALL = 1_700_000_000.0
EXACT = Timing(jitter_s=0.0)


def ipv4(source: str, destination: str, payload: bytes = b"hello") -> bytes:
    size = 20 + len(payload)
    head = b"\x45\0" + size.to_bytes(2) + bytes(4) + b"\x40\x11\0\0"
    return head + ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed + payload


def ipv6(source: str, destination: str, payload: bytes = b"hello") -> bytes:
    head = b"\x60\0\0\0" + len(payload).to_bytes(2) + b"\x11\x40"
    return head + ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed + payload


def kind(datagram: bytes) -> str:
    if datagram[0] == 4:
        return "keepalive" if len(datagram) == 32 else "data"
    return {1: "initiation", 2: "response", 3: "cookie"}[datagram[0]]


class Node:
    """A device at an address; `got` are the inner packets that came."""

    def __init__(self, number: int, timing: Timing, handshakes_per_s: int) -> None:
        self.address = f"10.0.{number // 250}.{number % 250 + 1}"
        self.endpoint: Hashable = (f"192.0.2.{number % 250 + 1}", 51820 + number // 250)
        self.device = Device(secrets.token_bytes(32), timing=timing, handshakes_per_s=handshakes_per_s)
        self.got: list[bytes] = []
        self.events: list[object] = []


class Wire:
    """`passes(kind, datagram)` decides what arrives; `log` is everything that was sent: time, from, to, datagram."""

    def __init__(
        self,
        count: int = 2,
        *,
        timing: Timing = EXACT,
        latency_s: float = 0.05,
        psk: bytes | None = None,
        keepalive_s: int = 0,
        handshakes_per_s: int = 250,
    ) -> None:
        self.now = 1000.0
        self.wall_offset = WALL
        self.latency_s = latency_s
        self.passes: Callable[[str, bytes], bool] = lambda kind, datagram: True
        self.log: list[tuple[float, Hashable, Hashable, bytes]] = []
        self._flying: list[tuple[float, int, Hashable, Hashable, bytes]] = []
        self._number = 0
        self.nodes = [Node(number, timing, handshakes_per_s) for number in range(count)]
        for one in self.nodes:
            for other in self.nodes if count <= 3 or one is self.nodes[0] else self.nodes[:1]:
                if one is not other:
                    self.introduce(one, other, psk, keepalive_s)

    @property
    def wall(self) -> float:
        return self.wall_offset + self.now

    def introduce(self, one: Node, other: Node, psk: bytes | None = None, keepalive_s: int = 0) -> None:
        setup = PeerSetup(
            public_key=other.device.public_key,
            allowed_ips=(f"{other.address}/32",),
            preshared_key=psk,
            keepalive_s=keepalive_s,
        )
        one.device.set_peer(setup, self.now)
        one.device.set_endpoint(other.device.public_key, other.endpoint, self.now)

    def peer(self, one: int = 0, other: int = 1) -> Peer:
        return self.nodes[one].device.peers[self.nodes[other].device.public_key]

    def send(self, one: int = 0, other: int = 1, payload: bytes = b"hello") -> bytes:
        node, to = self.nodes[one], self.nodes[other]
        packet = ipv4(node.address, to.address, payload)
        peer = self.peer(one, other)
        for datagram in node.device.encrypt(peer, packet, self.now):
            self.post(node.endpoint, peer.endpoint, datagram)
        self._pump(node)
        return packet

    def post(self, source: Hashable, destination: Hashable, datagram: bytes) -> None:
        self.log.append((self.now, source, destination, datagram))
        if self.passes(kind(datagram), datagram):
            self.inject(source, destination, datagram)

    def inject(self, source: Hashable, destination: Hashable, datagram: bytes) -> None:
        """Past `passes`, and not logged."""
        self._number += 1
        heapq.heappush(self._flying, (self.now + self.latency_s, self._number, source, destination, datagram))

    def run(self, seconds: float) -> None:
        """Everything that happens in so long."""
        end = self.now + seconds
        for node in self.nodes:
            self._pump(node)
        while (at := self._next()) <= end:
            self.now = max(self.now, at)
            while self._flying and self._flying[0][0] <= self.now:
                self._deliver()
            for node in self.nodes:
                if node.device.deadline() <= self.now:
                    node.device.tick(self.now, self.wall)
                    self._pump(node)
        self.now = end

    def sent(self, *kinds: str, since: float = 0.0) -> list[bytes]:
        return [datagram for at, _, _, datagram in self.log if kind(datagram) in kinds and at >= since]

    def _next(self) -> float:
        times = [node.device.deadline() for node in self.nodes]
        return min([*times, *(self._flying[0][:1] if self._flying else ())])

    def _deliver(self) -> None:
        _, _, source, destination, datagram = heapq.heappop(self._flying)
        for node in self.nodes:
            if node.endpoint == destination:
                self.hand(node, datagram, source)

    def hand(self, node: Node, datagram: bytes, source: Hashable) -> None:
        if datagram[:1] == b"\4":
            packet = node.device.decrypt(datagram, source, self.now)
            if packet:
                node.got.append(packet)
        else:
            node.device.receive_handshake(datagram, source, self.now)
        self._pump(node)

    def _pump(self, node: Node) -> None:
        node.events += node.device.events()
        for endpoint, datagram in node.device.outbox():
            self.post(node.endpoint, endpoint, datagram)
