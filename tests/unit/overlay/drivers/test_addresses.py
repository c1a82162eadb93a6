"""The addresses of this machine; changes are seen in a namespace by the path tests."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest

from wayhouse.overlay.drivers import addresses
from wayhouse.overlay.drivers.addresses import AddressWatch, local_addresses


def test_only_useful_ones() -> None:
    found = local_addresses()
    for one in found:
        address = ipaddress.ip_address(one.host)
        assert not address.is_loopback
        assert one.is_ipv6 == (address.version == 6)
        assert one.interface != "lo"
    assert local_addresses(tuple(one.interface for one in found)) == []


@pytest.mark.parametrize(
    ("text", "is_useful"),
    [
        ("192.168.1.1", True),
        ("169.254.1.1", True),
        ("2001:db8::1", True),
        ("fe80::1%eth0", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("0.0.0.0", False),
        ("nonsense", False),
    ],
)
def test_useful(text: str, is_useful: bool) -> None:
    assert addresses._is_useful(text) == is_useful


@pytest.mark.parametrize(
    ("name", "is_engine"),
    [
        ("docker0", True),
        ("br-0123456789ab", True),
        ("veth1a2b", True),
        ("virbr0", True),
        ("br-lan", False),
        ("eth0", False),
        ("wlan0", False),
    ],
)
def test_interfaces_of_container_engines(name: str, is_engine: bool) -> None:
    assert bool(addresses._CONTAINERS.fullmatch(name)) == is_engine


async def test_a_watch_that_sees_nothing_tells_nothing() -> None:
    watch, told = AddressWatch(), []
    end = watch.subscribe(lambda: told.append(1))
    other = watch.subscribe(lambda: told.append(2))
    await asyncio.sleep(0)
    watch._look()
    assert told == []
    watch._known = ()
    watch._look()
    assert told == [1, 2]
    end()
    end()
    watch._known = ()
    watch._look()
    assert told == [1, 2, 2]
    other()
    watch.close()
    watch.close()
