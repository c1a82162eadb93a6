"""Tunnels without an interface, for tests and the demo: packets go from one `FakeTunnel` to another over a `FakeWire`.

Rule: a packet goes through when both sides have set each other as a peer with an endpoint, its destination is allowed to the receiver and
its source is allowed from the sender; else it is dropped and counted, as the engine does.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

from wayhouse.overlay.ports import Address, Endpoint, PeerFigures, PeerSetup, TunnelEvents

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class FakeWire:
    """What the tunnels of one test share: who is there, and between whom nothing gets through."""

    def __init__(self) -> None:
        self.tunnels: dict[bytes, FakeTunnel] = {}
        self._cut: set[frozenset[bytes]] = set()

    def cut(self, one: bytes, other: bytes) -> None:
        """Nothing gets through between these two keys any more, and both notice."""
        self._cut.add(frozenset((one, other)))
        for here, there in ((one, other), (other, one)):
            if here in self.tunnels:
                self.tunnels[here].notice_silence(there)

    def mend(self, one: bytes, other: bytes) -> None:
        self._cut.discard(frozenset((one, other)))
        self.meet(one, other)

    def meet(self, one: bytes, other: bytes) -> None:
        """A handshake, if both are ready for it."""
        if self.is_open(one, other):
            self.tunnels[one].establish(other)
            self.tunnels[other].establish(one)

    def is_open(self, one: bytes, other: bytes) -> bool:
        if frozenset((one, other)) in self._cut:
            return False
        ends = self.tunnels.get(one), self.tunnels.get(other)
        return all(
            end is not None and end.is_ready_for(peer) for end, peer in zip(ends, (other, one), strict=True)
        )


class FakeTunnel:
    """A `Tunnel` in memory: `send` is an IP packet from the interface, `received` what came out of it.

    `public_key` is this side's, 32 bytes. Events are told at once, in the call that brings them about. `clock` gives `last_handshake`.
    """

    def __init__(
        self,
        wire: FakeWire,
        public_key: bytes,
        *,
        interface: str = "fake0",
        clock: Callable[[], float] = float,
    ) -> None:
        self.public_key = public_key
        self.received: list[bytes] = []
        self.addresses: tuple[str, ...] = ()
        self.mtu = 0
        self.peers: dict[bytes, PeerSetup] = {}
        self.endpoints: dict[bytes, Endpoint] = {}
        self.adopted: dict[socket.socket, Callable[[bytes, Address], None]] = {}
        self.delivered: list[tuple[bytes, bytes]] = []
        self._wire = wire
        self._interface = interface
        self._clock = clock
        self._events: TunnelEvents | None = None
        self._figures: dict[bytes, PeerFigures] = {}
        self._established: set[bytes] = set()

    @property
    def interface(self) -> str:
        return self._interface

    def start(self, events: TunnelEvents) -> None:
        self._events = events
        self._wire.tunnels[self.public_key] = self
        for peer in self.peers:
            self._wire.meet(self.public_key, peer)

    def set_addresses(self, addresses: Sequence[str], mtu: int) -> None:
        self.addresses, self.mtu = tuple(addresses), mtu

    def set_peer(self, peer: PeerSetup) -> None:
        self.peers[peer.public_key] = peer
        self._figures.setdefault(peer.public_key, PeerFigures())
        self._wire.meet(self.public_key, peer.public_key)

    def remove_peer(self, public_key: bytes) -> None:
        for book in (self.peers, self.endpoints, self._figures):
            book.pop(public_key, None)
        self._established.discard(public_key)

    def set_endpoint(self, public_key: bytes, endpoint: Endpoint | None) -> None:
        if endpoint is None:
            self.endpoints.pop(public_key, None)
            return
        self.endpoints[public_key] = endpoint
        self._wire.meet(self.public_key, public_key)

    def adopt(self, sock: socket.socket, other: Callable[[bytes, Address], None]) -> None:
        self.adopted[sock] = other

    def release(self, sock: socket.socket) -> None:
        self.adopted.pop(sock, None)

    def deliver(self, public_key: bytes, datagram: bytes) -> None:
        self.delivered.append((public_key, datagram))

    def figures(self) -> dict[bytes, PeerFigures]:
        return dict(self._figures)

    def close(self) -> None:
        self._wire.tunnels.pop(self.public_key, None)
        self._events = None

    # What a test does to it.

    def send(self, packet: bytes) -> None:
        """An IP packet comes from the interface."""
        destination, peer = _address(packet, is_source=False), None
        if destination is not None:
            peer = next((key for key, setup in self.peers.items() if _allows(setup, destination)), None)
        if peer is None:
            if self._events is not None:
                self._events.tunnel_unroutable(packet)
        elif self._wire.is_open(self.public_key, peer):
            self._count(peer, sent_bytes=len(packet), sent_packets=1)
            self._wire.tunnels[peer].take(self.public_key, packet)
        else:
            self._count(peer, dropped=1)

    def hear(self, sock: socket.socket, data: bytes, address: Address) -> None:
        """A datagram that is not the tunnel's comes to an adopted socket. Raises `KeyError` if it is not adopted."""
        self.adopted[sock](data, address)

    # What its wire does to it.

    def is_ready_for(self, public_key: bytes) -> bool:
        return self._events is not None and public_key in self.peers and public_key in self.endpoints

    def take(self, public_key: bytes, packet: bytes) -> None:
        source = _address(packet, is_source=True)
        if source is None or not _allows(self.peers[public_key], source):
            self._count(public_key, dropped=1)
            return
        self._count(public_key, received_bytes=len(packet), received_packets=1)
        self._figures[public_key] = _with(self._figures[public_key], last_received=self._clock())
        self.received.append(packet)

    def establish(self, public_key: bytes) -> None:
        if public_key in self._established or self._events is None:
            return
        self._established.add(public_key)
        self._figures[public_key] = _with(self._figures[public_key], last_handshake=self._clock())
        self._events.tunnel_established(public_key)

    def notice_silence(self, public_key: bytes) -> None:
        if public_key in self._established and self._events is not None:
            self._established.discard(public_key)
            self._events.tunnel_silent(public_key)

    def _count(self, public_key: bytes, **more: int) -> None:
        old = self._figures[public_key]
        self._figures[public_key] = _with(old, **{name: getattr(old, name) + by for name, by in more.items()})


def _with(figures: PeerFigures, **changes: float) -> PeerFigures:
    return PeerFigures(
        **{**{name: getattr(figures, name) for name in PeerFigures.__struct_fields__}, **changes}
    )


def _allows(setup: PeerSetup, address: IpAddress) -> bool:
    return any(address in ipaddress.ip_network(network, strict=False) for network in setup.allowed_ips)


def _address(packet: bytes, *, is_source: bool) -> IpAddress | None:
    """The source or destination of an IP packet; None if it is none."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        return ipaddress.IPv4Address(packet[12:16] if is_source else packet[16:20])
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        return ipaddress.IPv6Address(packet[8:24] if is_source else packet[24:40])
    return None
