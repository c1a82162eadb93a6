from __future__ import annotations

from ipaddress import ip_address

import pytest

from wayhouse.overlay.addressing import AddressesUsedUpError, gen_ip6
from wayhouse.overlay.social import SocialAddresses


def uid(number: int) -> str:
    return f"{number:016x}" + "0" * 24


def test_peers_are_numbered_in_the_order_they_come() -> None:
    addresses = SocialAddresses(given={uid(9): "172.31.0.102"})
    assert [addresses.ip4_of(uid(number)) for number in (1, 2, 1, 9)] == [
        "172.31.0.101",
        "172.31.0.103",
        "172.31.0.101",
        "172.31.0.102",
    ]
    assert addresses.owner_of(ip_address("172.31.0.103")) == uid(2)
    assert addresses.owner_of(ip_address("172.31.0.104")) is None


def test_a_forgotten_address_is_given_again() -> None:
    addresses = SocialAddresses()
    addresses.meet(uid(1))
    addresses.ip4_of(uid(1))
    addresses.forget(uid(1))
    assert addresses.ip4_of(uid(2)) == "172.31.0.101"
    assert addresses.owner_of(ip_address(gen_ip6(uid(1)))) is None


def test_when_all_are_given_away_it_is_told() -> None:
    addresses = SocialAddresses()
    for number in range(154):
        addresses.ip4_of(uid(number))
    with pytest.raises(AddressesUsedUpError):
        addresses.ip4_of(uid(500))


def test_ipv6_addresses_lead_back_to_their_uid() -> None:
    addresses = SocialAddresses()
    addresses.meet(uid(77))
    assert addresses.owner_of(ip_address(addresses.ip6_of(uid(77)))) == uid(77)
    assert addresses.owner_of(ip_address("2001:db8::77")) is None


def test_what_peers_say_of_addresses_does_not_count() -> None:
    addresses = SocialAddresses()
    assert addresses.claim(uid(1), "172.31.0.100").conflict is None
    assert addresses.elsewhere() == ""


def test_who_makes_room_keeps_its_address() -> None:
    addresses = SocialAddresses()
    addresses.meet(uid(1))
    addresses.ip4_of(uid(1))
    addresses.hint(uid(1), "172.31.0.150")
    addresses.leave(uid(1))
    assert addresses.owner_of(ip_address(gen_ip6(uid(1)))) is None
    assert addresses.ip4_of(uid(2)) == "172.31.0.102"
    assert addresses.ip4_of(uid(1)) == "172.31.0.101"
