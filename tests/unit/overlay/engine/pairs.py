"""Two devices that have shaken hands, with sockets on loopback and a pipe for an interface: the engine's inside without a TUN."""

from __future__ import annotations

import os
import socket
from collections import Counter

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wayhouse.overlay.engine.loop import movers
from wayhouse.overlay.engine.native_part import Native
from wayhouse.overlay.engine.ways import Ways
from wayhouse.overlay.ports import PeerSetup, UdpEndpoint
from wayhouse.overlay.wireguard.device import Device
from wayhouse.overlay.wireguard.keypair import Keypair

HOSTS = ("10.0.0.1", "10.0.0.2")
NETWORKS = (("10.0.0.1/32", "fd00::1/128"), ("10.0.0.2/32", "fd00::2/128"))


class Side:
    """One end; `written` are the packets that came out of its interface, `put` puts one in."""

    def __init__(self, private_key: bytes, native: Native | None) -> None:
        self.device = Device(private_key)
        self.dropped: Counter[str] = Counter()
        self.unroutable: list[bytes] = []
        self.other: list[bytes] = []
        self.ways = Ways()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self._inner, self.outer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._inner, self.outer):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.outgoing, self.incoming = movers(
            self.device, self.ways, self.unroutable.append, self.dropped, native
        )
        self.incoming.fd = self._inner.fileno()

    def put(self, head: bytes, packet: bytes) -> None:
        self.outer.send(head + packet)

    def pump_out(self, now: float = 1.0) -> None:
        self.outgoing.turn(self._inner.fileno(), now)

    def pump_in(self, now: float = 1.0) -> list[bytes]:
        """What was written to the interface, each with its 10 bytes of head."""
        self.incoming.turn(self.sock, lambda data, _: self.other.append(data), now)
        written = []
        while True:
            try:
                written.append(os.read(self.outer.fileno(), 70000))
            except BlockingIOError:
                return written

    def close(self) -> None:
        for end in (self._inner, self.outer, self.sock):
            end.close()


class Pair:
    """Two sides with keys; `channel` is that of both ways, if they go through a relay; without `native` they are pure."""

    def __init__(self, channel: int | None = None, native: Native | None = None) -> None:
        keys = [X25519PrivateKey.generate() for _ in range(2)]
        self.sides = [Side(key.private_bytes_raw(), native) for key in keys]
        one, two = self.sides
        for here, there, networks in ((one, two, NETWORKS[1]), (two, one, NETWORKS[0])):
            peer = PeerSetup(public_key=there.device.public_key, allowed_ips=networks, keepalive_s=0)
            here.device.set_peer(peer, 0.0).roams = False
            address = there.sock.getsockname()
            way = here.ways.keep(
                UdpEndpoint(sock=here.sock, address=address, channel=channel, is_relayed=channel is not None)
            )
            here.device.set_endpoint(there.device.public_key, way, 0.0, roams=False)
            here.incoming.placed.add(there.device.public_key)
        self._meet()

    def _meet(self) -> None:
        one, two = self.sides
        peer = one.device.peers[two.device.public_key]
        one.device.sender(peer, 0.0)
        one.device.tick(0.1, 1_700_000_000.0)
        for _ in range(3):
            for here, there in ((one, two), (two, one)):
                for way, datagram in here.device.outbox():
                    assert way.send_one(datagram) == 0
                there.pump_in(0.2)
        assert self.keypair(0) is not None

    def keypair(self, side: int) -> Keypair:
        found = self.sides[side].device.peers[self.sides[1 - side].device.public_key].current
        assert found is not None
        return found

    def close(self) -> None:
        for side in self.sides:
            side.close()
