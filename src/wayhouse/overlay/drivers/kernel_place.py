"""A peer of the kernel's WireGuard: what is set, where it is, what the kernel counted; and what the kernel would not take. Used by `kernel_tunnel.py`."""

from __future__ import annotations

import asyncio
import socket

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.drivers.loopback_way import LoopbackWay
from wayhouse.overlay.kernel_peers import KernelPeer
from wayhouse.overlay.port_exchange import Way
from wayhouse.overlay.ports import Address, PeerSetup, UdpEndpoint
from wayhouse.overlay.wireguard.allowed_ips import parse_network


class Place:
    """A peer here: what is set, where it is, what the kernel counted."""

    def __init__(self, setup: PeerSetup, way: LoopbackWay) -> None:
        self.setup, self.way = setup, way
        self.watch = KernelPeer()
        self.eager_until = 0.0
        self.begin: asyncio.TimerHandle | None = None

    @property
    def straight(self) -> Way | None:
        """Where it is, if the kernel can send there by itself."""
        endpoint = self.way.endpoint
        if (
            not isinstance(endpoint, UdpEndpoint)
            or endpoint.channel is not None
            or endpoint.sock.fileno() < 0
        ):
            return None
        if len(endpoint.address) == 4 and endpoint.address[3]:
            return None  # link-local
        host, port = endpoint.address[:2]
        return Way(host=host, port=port, own=int(endpoint.sock.getsockname()[1]))

    @property
    def sock(self) -> socket.socket | None:
        """The ICE socket that leads to it."""
        endpoint = self.way.endpoint
        return endpoint.sock if isinstance(endpoint, UdpEndpoint) else None

    def wait_no_more(self) -> None:
        if self.begin is not None:
            self.begin.cancel()
            self.begin = None

    def take(self, data: bytes, address: Address, *, is_relayed: bool) -> bool:
        """Give it to the kernel if it is this peer's: by a relay from its own channel, else whatever came by its socket."""
        endpoint = self.way.endpoint
        if not is_relayed:
            self.way.deliver(data)
            return True
        number, length = int.from_bytes(data[:2]), int.from_bytes(data[2:4])
        if not isinstance(endpoint, UdpEndpoint) or endpoint.channel != number:
            return False
        if endpoint.address[:2] != address[:2]:
            return False
        self.way.deliver(data[4 : 4 + length])
        return True


def public_key_of(private_key: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    if len(private_key) != 32:
        raise BadInputError("A private key has 32 bytes; make one with `wg genkey`.")
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def check_peer(peer: PeerSetup, own_key: bytes) -> None:
    """Raises `BadInputError` for what the kernel would refuse, and for what it cannot do."""
    if len(peer.public_key) != 32 or peer.public_key == own_key:
        raise BadInputError("The public key of a peer has 32 bytes and is not this gateway's own.")
    if peer.preshared_key is not None and len(peer.preshared_key) != 32:
        raise BadInputError("A preshared key has 32 bytes; make one with `wg genpsk`.")
    if not 0 <= peer.keepalive_s <= 65535:
        raise BadInputError("The keepalive is 0 (none) to 65535 seconds.", path="keepalive_s")
    if peer.translation is not None:
        raise BadInputError("The kernel's WireGuard translates no addresses; use the built-in engine.")
    for network in peer.allowed_ips:
        parse_network(network)
