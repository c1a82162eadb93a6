"""Asking real servers on loopback."""

from __future__ import annotations

from tests.parts.turn_core import TurnOnLoopback
from wayhouse.overlay.drivers.netcheck import check_net
from wayhouse.overlay.model import PathSettings, TurnServer


async def test_servers_on_loopback() -> None:
    async with TurnOnLoopback() as server:
        where = {"host": "127.0.0.1", "port": server.port, "username": "user"}
        good = TurnServer(**where, password="secret", transport="tcp")  # type: ignore[arg-type]
        bad = TurnServer(**where, password="wrong")  # type: ignore[arg-type]
        report = await check_net(PathSettings(stun=(("127.0.0.1", server.port),), turn=(good, bad)))
    stun, tcp, udp = report.servers
    assert (stun.kind, stun.address) == ("stun", "127.0.0.1")
    assert stun.rtt_ms is not None
    assert tcp.rtt_ms is not None
    assert tcp.kind == "turn tcp"
    assert udp.rtt_ms is None
    assert "401" in udp.error
    assert report.has_udp
    assert report.public_ipv4 == "127.0.0.1"
    assert server.core.allocations == {}


async def test_without_servers() -> None:
    report = await check_net(PathSettings(stun=(("no such host", 3478),)))
    assert report.servers[0].error == "the name is not known"
    assert report.nat == "unknown"
