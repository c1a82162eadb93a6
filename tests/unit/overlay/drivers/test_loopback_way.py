"""What the kernel sends to loopback goes on to where the peer is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from wayhouse.overlay.drivers.loopback_way import HOST, LoopbackWay
from wayhouse.overlay.ports import OutletEndpoint, UdpEndpoint


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HOST, 0))
    sock.settimeout(0.0)
    return sock


@pytest.fixture
def kernel() -> Iterator[socket.socket]:
    with udp() as sock:
        yield sock


@pytest.fixture
async def way(kernel):
    made = LoopbackWay(kernel.getsockname()[1], asyncio.get_running_loop())
    yield made
    made.close()


async def came(sock: socket.socket) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 2000), 5.0)


async def test_out_and_in(kernel, way) -> None:
    with udp() as own, udp() as peer:
        way.endpoint = UdpEndpoint(own, peer.getsockname())
        kernel.sendto(b"hello", (HOST, way.port))
        assert await came(peer) == b"hello"
        way.deliver(b"answer")
        assert await came(kernel) == b"answer"


async def test_a_relay_gets_its_prefix(kernel, way) -> None:
    with udp() as own, udp() as relay:
        way.endpoint = UdpEndpoint(own, relay.getsockname(), channel=0x4001, is_relayed=True)
        kernel.sendto(b"hello", (HOST, way.port))
        assert await came(relay) == b"\x40\x01\0\5hello"


async def test_an_outlet(kernel, way) -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()
    way.endpoint = OutletEndpoint(got.put_nowait)
    kernel.sendto(b"hello", (HOST, way.port))
    assert await asyncio.wait_for(got.get(), 5.0) == b"hello"


async def test_what_is_not_the_kernels_is_not_carried(kernel, way) -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()
    way.endpoint = OutletEndpoint(got.put_nowait)
    with udp() as other:
        other.sendto(b"forged", (HOST, way.port))
    kernel.sendto(b"hello", (HOST, way.port))
    assert await asyncio.wait_for(got.get(), 5.0) == b"hello"
    assert got.empty()


async def test_nowhere_to_go(kernel, way) -> None:
    kernel.sendto(b"hello", (HOST, way.port))
    closed = udp()
    closed.close()
    while not way.dropped:
        await asyncio.sleep(0)
    way.endpoint = UdpEndpoint(closed, (HOST, 9))
    kernel.sendto(b"hello", (HOST, way.port))
    while way.dropped < 2:
        await asyncio.sleep(0)
