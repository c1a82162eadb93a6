"""What of multicast DNS needs no network. With one: tests/e2e/test_overlay_mdns.py."""

from __future__ import annotations

import asyncio

import pytest
from zeroconf import IPVersion

from wayhouse.base.tasks import Tasks
from wayhouse.overlay.drivers import mdns
from wayhouse.overlay.drivers.mdns import MdnsSignaller, usable_interfaces
from wayhouse.overlay.introduction import Introduction
from wayhouse.overlay.model import Heard, NoSuchPeerError, PeerSeen, SignalDown, SignalEvent
from wayhouse.overlay.stanzas import BadStanzaError

A, B = "a" * 40, "b" * 40


def test_interfaces_are_told_to_zeroconf_in_its_way() -> None:
    four: mdns.Addresses = (("eth0", 2, ("192.0.2.1", "192.0.2.2")),)
    six: mdns.Addresses = (("eth1", 3, ("fe80::1", "2001:db8::1")),)
    assert mdns._choice(four + six) == ["192.0.2.1", "192.0.2.2", 3]
    assert mdns._version(four) is IPVersion.V4Only
    assert mdns._version(six) is IPVersion.V6Only
    assert mdns._version(four + six) is IPVersion.All
    every = [name for name, _, _ in usable_interfaces()]
    assert "lo" not in every
    assert usable_interfaces(every) == ()


async def test_without_a_network_it_says_so_and_waits() -> None:
    events: list[SignalEvent] = []
    before = asyncio.all_tasks()
    async with Tasks() as tasks:
        every = [name for name, _, _ in usable_interfaces()]
        one = MdnsSignaller("home", tasks, ignored_interfaces=every, look_s=0.01)
        with pytest.raises(BadStanzaError):
            one.start(A, "\0", events.append)
        one.start(A, "F", events.append)
        await asyncio.sleep(0.05)
        assert events == [SignalDown("mdns", "There is no network: no interface is up with an address.")]
        with pytest.raises(NoSuchPeerError):
            one.send(B, "con_req", "x")
        await one.stop()
    assert asyncio.all_tasks() == before
    assert one.name == "mdns"


async def test_who_speaks_is_seen_and_then_heard() -> None:
    events: list[SignalEvent] = []
    async with Tasks() as tasks:
        one = MdnsSignaller("home", tasks)
        one._hear = events.append
        one._heard(B, Introduction("F", 1, "con_req", "x"), "192.0.2.1")
        one._heard(B, Introduction("F", 1, "con_resp", "y"), "192.0.2.1")
        assert events == [
            PeerSeen(B, "F", "mdns"),
            Heard(B, "con_req", "x", "mdns"),
            Heard(B, "con_resp", "y", "mdns"),
        ]
        for number in range(mdns.MAX_PEERS + 5):
            one._heard(f"{number:040x}", Introduction("F", 1), "192.0.2.1")
        assert len(one._peers) == mdns.MAX_PEERS
