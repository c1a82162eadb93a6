"""What this machine is in. Loopback is everywhere.

# covers: overlay/drivers/outside.py
# covers: overlay/drivers/routes.py
"""

from __future__ import annotations

import os
from ipaddress import IPv4Network

import pytest

from wayhouse.base.clock import SystemClock
from wayhouse.base.errors import OutsideError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.drivers.fake_signal import Exchange
from wayhouse.overlay.drivers.networks_here import networks, others, overlapping
from wayhouse.overlay.drivers.outside import RealOutside
from wayhouse.overlay.drivers.routes import set_routes


def test_networks() -> None:
    assert ("lo", "127.0.0.0/8") in set(networks())
    assert others()["127.0.0.0/8"] == "the network of lo"
    assert not any("wh-" in what for what in others().values())
    assert overlapping(IPv4Network("127.4.0.0/24")) == "127.0.0.0/8 of lo"
    assert overlapping(IPv4Network("203.0.113.0/24")) == ""


async def test_routes_into_nowhere() -> None:
    with pytest.raises(OutsideError, match="wh-nowhere"):
        await set_routes("wh-nowhere", ["10.213.7.0/24"])


async def test_outside_parts() -> None:
    async with Tasks() as tasks:
        outside = RealOutside(SystemClock(), tasks)
        try:
            assert outside.networks("eth7")["127.0.0.0/8"] == "the network of lo"
            assert "127.0.0.0/8" not in outside.networks("lo")
            assert await outside.servers(Exchange().signaller("fake")) == ((), ())
            signaller = outside.xmpp(XmppAccount(jid="a@example.org", password="x"))
            assert signaller.name == "xmpp:a@example.org"
            assert await outside.servers(signaller) == ((), ())  # it is not signed in
            assert outside.lan("home", None, "wh-home").name == "mdns"
            if os.geteuid() != 0:
                with pytest.raises(OutsideError):
                    outside.tunnel("wh-test", bytes(31) + b"\x01")
        finally:
            outside.close()
