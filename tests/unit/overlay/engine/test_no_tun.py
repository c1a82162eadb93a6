import asyncio
import os
import socket

import pytest

from wayhouse.overlay.engine.no_tun import NoTun
from wayhouse.overlay.engine.tunnel import EngineTunnel
from wayhouse.overlay.ports import PeerSetup, UdpEndpoint


class Events:
    def __init__(self):
        self.established = asyncio.Event()

    def tunnel_established(self, public_key):
        self.established.set()

    def tunnel_silent(self, public_key):
        self.established.clear()

    def tunnel_unroutable(self, packet):
        raise AssertionError("nothing comes out of it")


def fill(fd: int) -> None:
    for _ in range(10_000):
        os.writev(fd, [bytes(1000)])


def test_nothing_comes_out_and_nothing_is_kept():
    tun = NoTun()
    with pytest.raises(BlockingIOError):
        os.read(tun.fd, 100)
    with pytest.raises(BlockingIOError):
        fill(tun.fd)
    tun.configure(("172.31.0.100/24",), 1420)
    assert (tun.mtu, tun.name, tun.reopen()) == (1420, "", False)
    tun.close()
    tun.close()


async def test_tunnels_without_an_interface_find_each_other():
    """As `--no-tun` has it: no root is needed."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for _ in range(2)]
    tunnels = [EngineTunnel(None, bytes([number + 1]) * 32) for number in range(2)]
    events = [Events(), Events()]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        for number, tunnel in enumerate(tunnels):
            other = tunnels[1 - number]
            tunnel.set_addresses((f"172.31.0.{100 + number}/24",), 1280)
            tunnel.start(events[number])
            tunnel.set_peer(PeerSetup(public_key=other.public_key, allowed_ips=("172.31.0.0/24",)))
            tunnel.adopt(sockets[number], lambda data, address: None)
        for number, tunnel in enumerate(tunnels):
            endpoint = UdpEndpoint(sockets[number], sockets[1 - number].getsockname())
            tunnel.set_endpoint(tunnels[1 - number].public_key, endpoint)
        async with asyncio.timeout(20):
            for one in events:
                await one.established.wait()
        assert tunnels[0].interface == ""
    finally:
        for tunnel in tunnels:
            tunnel.close()
        for sock in sockets:
            sock.close()
