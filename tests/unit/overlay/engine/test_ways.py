"""One object for a way, and not too many of them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from wayhouse.overlay.engine.ways import MOST_WAYS, OutletWay, UdpWay, Ways
from wayhouse.overlay.ports import OutletEndpoint, UdpEndpoint

A = ("127.0.0.1", 9)


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        yield made


def test_the_same_object(sock) -> None:
    ways = Ways()
    kept = ways.keep(UdpEndpoint(sock=sock, address=A))
    assert isinstance(kept, UdpWay)
    assert ways.find(sock, A) is kept
    assert ways.find(sock, A, 0x4001) is not kept
    assert ways.keep(UdpEndpoint(sock=sock, address=A)) is kept
    assert ways.keep(UdpEndpoint(sock=sock, address=A, is_relayed=True)) is not kept


def test_strangers_are_bounded(sock) -> None:
    ways = Ways()
    kept = ways.keep(UdpEndpoint(sock=sock, address=A))
    for port in range(3 * MOST_WAYS):
        ways.find(sock, ("192.0.2.1", port))
    assert len(ways._strangers) <= MOST_WAYS
    assert ways.find(sock, A) is kept


def test_channels(sock) -> None:
    ways = Ways()
    way = ways.keep(UdpEndpoint(sock=sock, address=sock.getsockname(), channel=0x4001, is_relayed=True))
    assert (sock, sock.getsockname()) in ways.relays
    assert way.room == 4
    assert way.send_one(b"data") == 0
    assert sock.recv(100) == b"\x40\x01\0\4data"
    ways.forget(sock)
    assert not ways.relays
    assert not ways._kept


def test_outlets() -> None:
    out: list[bytes] = []
    way = Ways().keep(OutletEndpoint(outlet=out.append))
    assert isinstance(way, OutletWay)
    assert way.send(memoryview(b"aabbc"), 2) == 0
    assert way.send_one(b"d") == 0
    assert out == [b"aa", b"bb", b"c", b"d"]
