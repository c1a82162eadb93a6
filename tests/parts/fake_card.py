"""The kernel's WireGuard as `KernelTunnel` sees it, without a kernel: remembers what it was told, and is a real socket on loopback."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from wayhouse.base.errors import OutsideError
from wayhouse.overlay.drivers.kernel_wireguard import GoneError
from wayhouse.overlay.ports import PeerSetup


class FakeCard:
    """`log` has every word in order; `counted` is what the kernel counts, by public key."""

    def __init__(self, name: str, private_key: bytes) -> None:
        self.name = name
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(5.0)
        self.port = int(self.sock.getsockname()[1])
        self.log: list[tuple[object, ...]] = []
        self.table = ""
        self.endpoints: dict[bytes, tuple[str, int]] = {}
        self.counted: dict[bytes, tuple[int, int, float]] = {}
        self.is_gone = False
        self.refusal = ""

    def remake(self) -> None:
        self.is_gone = False
        self.endpoints.clear()
        self.log.append(("remake",))

    def configure(self, addresses: Sequence[str], mtu: int) -> None:
        if self.refusal:
            raise OutsideError(self.refusal)
        self.log.append(("configure", tuple(addresses), mtu))

    def set_peer(self, peer: PeerSetup, endpoint: tuple[str, int] | None = None, *, keepalive: bool) -> None:
        self.log.append(("peer", peer.public_key, endpoint, keepalive))
        if endpoint is not None:
            self.endpoints[peer.public_key] = endpoint

    def remove_peer(self, public_key: bytes) -> None:
        self.log.append(("remove", public_key))
        self.endpoints.pop(public_key, None)

    def peers(self) -> dict[bytes, tuple[int, int, float]]:
        if self.is_gone:
            raise GoneError
        return dict(self.counted)

    def exchange_ports(self, table: str) -> None:
        self.table = table

    def close(self) -> None:
        self.log.append(("close",))
        self.sock.close()
