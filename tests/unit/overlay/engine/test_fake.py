"""Two fake tunnels on one wire."""

from __future__ import annotations

import socket
import struct

import pytest

from wayhouse.overlay.engine.fake import FakeTunnel, FakeWire
from wayhouse.overlay.ports import OutletEndpoint, PeerSetup, Tunnel

A, B = b"a" * 32, b"b" * 32
WAY = OutletEndpoint(outlet=lambda _: None)


def packet(source: str, destination: str) -> bytes:
    return struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20, 0, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(destination)
    )


class Told:
    def __init__(self) -> None:
        self.log: list[tuple[str, bytes]] = []

    def tunnel_established(self, public_key: bytes) -> None:
        self.log.append(("established", public_key))

    def tunnel_silent(self, public_key: bytes) -> None:
        self.log.append(("silent", public_key))

    def tunnel_unroutable(self, packet: bytes) -> None:
        self.log.append(("unroutable", packet))


@pytest.fixture
def pair() -> tuple[FakeWire, FakeTunnel, FakeTunnel, Told, Told]:
    wire = FakeWire()
    one, two = FakeTunnel(wire, A), FakeTunnel(wire, B, clock=lambda: 5.0)
    ears = Told(), Told()
    one.start(ears[0])
    two.start(ears[1])
    return wire, one, two, *ears


def link(one: FakeTunnel, two: FakeTunnel) -> None:
    one.set_peer(PeerSetup(public_key=B, allowed_ips=("10.0.0.2/32",)))
    two.set_peer(PeerSetup(public_key=A, allowed_ips=("10.0.0.1/32",)))
    one.set_endpoint(B, WAY)
    two.set_endpoint(A, WAY)


def test_it_is_a_tunnel() -> None:
    tunnel: Tunnel = FakeTunnel(FakeWire(), A, interface="x")
    assert tunnel.interface == "x"
    tunnel.set_addresses(["10.0.0.1/24"], 1280)
    tunnel.deliver(B, b"x")
    tunnel.close()


def test_packets_pass_when_both_are_ready(pair) -> None:
    _, one, two, told_one, told_two = pair
    link(one, two)
    one.send(packet("10.0.0.1", "10.0.0.2"))
    assert two.received == [packet("10.0.0.1", "10.0.0.2")]
    assert told_one.log == [("established", B)]
    assert told_two.log == [("established", A)]
    assert one.figures()[B].sent_packets == 1
    assert two.figures()[A].received_bytes == 20
    assert two.figures()[A].last_handshake == 5.0


def test_nothing_passes_before(pair) -> None:
    _, one, two, told, _ = pair
    one.set_peer(PeerSetup(public_key=B, allowed_ips=("10.0.0.2/32",)))
    one.set_endpoint(B, WAY)
    one.send(packet("10.0.0.1", "10.0.0.2"))
    assert two.received == []
    assert told.log == []
    assert one.figures()[B].dropped == 1


def test_unroutable_and_wrong_source(pair) -> None:
    _, one, two, told, _ = pair
    link(one, two)
    one.send(packet("10.0.0.1", "10.0.0.9"))
    one.send(b"no packet")
    one.send(packet("10.0.0.7", "10.0.0.2"))
    assert [kind for kind, _ in told.log] == ["established", "unroutable", "unroutable"]
    assert two.received == []
    assert two.figures()[A].dropped == 1


def test_cut_and_mended(pair) -> None:
    wire, one, two, told, _ = pair
    link(one, two)
    wire.cut(A, B)
    one.send(packet("10.0.0.1", "10.0.0.2"))
    wire.mend(A, B)
    assert [kind for kind, _ in told.log] == ["established", "silent", "established"]
    one.set_endpoint(B, None)
    assert not wire.is_open(A, B)
    two.remove_peer(A)
    assert two.figures() == {}


def test_adopted_sockets(pair) -> None:
    _, one, *_ = pair
    heard = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        one.adopt(sock, lambda data, address: heard.append((data, address)))
        one.hear(sock, b"stun", ("192.0.2.1", 1))
        one.release(sock)
        with pytest.raises(KeyError):
            one.hear(sock, b"stun", ("192.0.2.1", 1))
    assert heard == [(b"stun", ("192.0.2.1", 1))]
