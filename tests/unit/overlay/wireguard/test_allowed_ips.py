"""Routes: the longest prefix, as a plain search finds it."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.wireguard import allowed_ips
from wayhouse.overlay.wireguard.allowed_ips import AllowedIps, parse_network


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def routes(**owners: str) -> AllowedIps[str]:
    found: AllowedIps[str] = AllowedIps()
    for owner, networks in owners.items():
        found.assign(owner, [parse_network(text) for text in networks.split()])
    return found


def test_the_longest_prefix_wins() -> None:
    found = routes(all="0.0.0.0/0 ::/0", net="10.0.0.0/8 fd00::/16", host="10.0.0.2/32 fd00::2/128")
    assert found[packed("10.0.0.2")] == "host"
    assert found[packed("10.9.0.2")] == "net"
    assert found[packed("8.8.8.8")] == "all"
    assert found[packed("fd00::2")] == "host"
    assert found[packed("fd00::3")] == "net"
    assert found[packed("2001:db8::1")] == "all"


def test_the_families_do_not_mix_and_nonsense_has_no_peer() -> None:
    found = routes(four="0.0.0.0/0")
    assert found[packed("::1")] is None
    assert found[b""] is None
    assert found[bytes(5)] is None


def test_a_network_belongs_to_who_got_it_last() -> None:
    found = routes(a="10.0.0.0/24 10.0.1.0/24", b="10.0.0.0/24")
    assert found[packed("10.0.0.1")] == "b"
    found.remove("a")
    assert found[packed("10.0.0.1")] == "b"
    assert found[packed("10.0.1.1")] is None
    found.assign("b", [])
    assert found[packed("10.0.0.1")] is None


def test_the_same_network_twice() -> None:
    found = routes(a="10.0.0.1/24 10.0.0.2/24")
    found.remove("a")
    assert found[packed("10.0.0.1")] is None


def test_the_cache_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowed_ips, "CACHE_SIZE", 100)
    found = routes(a="10.0.0.0/8")
    assert all(found[(0x0A000000 + number).to_bytes(4)] == "a" for number in range(1000))
    assert len(found) <= 100


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "fd00::/129", "x", "10.0.0.0/-1", "10.0.0/8"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(BadInputError, match=r"10\.0\.0\.2/32"):
        parse_network(text)


networks = st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, 32))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), networks), max_size=12),
    st.lists(st.integers(0, (1 << 32) - 1)),
)
def test_as_a_plain_search(given_: list[tuple[str, tuple[int, int]]], asked: list[int]) -> None:
    owners: dict[ipaddress.IPv4Network, str] = {}
    for owner, (number, length) in given_:
        owners[ipaddress.ip_network((number, length), strict=False)] = owner
    found: AllowedIps[str] = AllowedIps()
    for owner in "abc":
        found.assign(owner, [parse_network(str(network)) for network, one in owners.items() if one == owner])
    for number in [*asked, *(number for _, (number, _) in given_)]:
        address = ipaddress.ip_address(number)
        holding = [network for network in owners if address in network]
        best = max(holding, key=lambda network: network.prefixlen, default=None)
        assert found[address.packed] == (owners[best] if best is not None else None)
