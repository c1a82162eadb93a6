"""The sockets of a path on loopback."""

from __future__ import annotations

import asyncio
import socket

import pytest

from wayhouse.overlay.drivers.udp_sockets import UdpSockets, base_of
from wayhouse.overlay.ice.stun import Host


async def test_read_lent_and_closed() -> None:
    heard: list[tuple[str, bytes, Host]] = []
    turns: list[None] = []
    sockets = UdpSockets(lambda *what: heard.append(what), lambda: turns.append(None))
    assert "udp4" in sockets.open(use_ipv6=False)
    assert sockets.get("udp6") is None
    sock = sockets.get("udp4")
    assert sock is not None
    here = ("127.0.0.1", sockets.ports()[False])
    sockets.send("udp4", here, b"hello")
    await asyncio.sleep(0.02)
    assert heard == [("udp4", b"hello", here)]
    assert turns
    assert sockets.lend(sock) == "udp4"
    assert sockets.lend(sock) == "udp4"
    sockets.send("udp4", here, b"for the borrower")
    await asyncio.sleep(0.02)
    assert len(heard) == 1
    assert sock.recv(100) == b"for the borrower"
    sockets.send("udp4", ("255.255.255.255", 9), b"not allowed")
    assert "255.255.255.255 cannot be reached" in sockets.last_error
    with socket.socket() as stranger, pytest.raises(ValueError, match="not the path's"):
        sockets.lend(stranger)
    sockets.close()
    assert sock.fileno() == -1


async def test_both_families() -> None:
    sockets = UdpSockets(lambda *_: None, lambda: None)
    bases = sockets.open(use_ipv6=True)
    assert set(sockets.ports()) == {base == "udp6" for base in bases}
    sockets.close()
    assert (base_of(("192.0.2.1", 1)), base_of(("2001:db8::1", 1))) == ("udp4", "udp6")
