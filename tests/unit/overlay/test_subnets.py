from __future__ import annotations

import itertools
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.overlay.subnets import (
    BadSubnetError,
    NotOfferedError,
    Standing,
    SubnetOverlapsError,
    Surroundings,
    accept,
    allowed_ips,
    arrange,
    check_offer,
    read,
    routes,
    take_back,
)

ATTIC, BARN = "a" * 40, "b" * 40
OWN = Surroundings({"192.168.1.7/24": "the network of eth0", "172.16.0.0/24": "the overlay home"})
OFFERS = {ATTIC: ("192.168.7.0/24", "fd77::/64"), BARN: ("192.168.7.128/25", "192.168.1.0/24")}


def test_nothing_is_routed_because_it_was_offered() -> None:
    subnets = arrange(OFFERS, {}, OWN)
    assert {one.standing for one in subnets} == {Standing.OFFERED}
    assert routes(subnets) == ()
    assert allowed_ips(subnets) == {}


def test_accepted_networks_are_routed_to_their_peer() -> None:
    accepted = accept(ATTIC, "fd77::/64", OFFERS, accept(ATTIC, "192.168.7.0/24", OFFERS, {}, OWN), OWN)
    assert accepted == {ATTIC: ("192.168.7.0/24", "fd77::/64")}
    subnets = arrange(OFFERS, accepted, OWN)
    assert allowed_ips(subnets) == accepted
    assert routes(subnets) == ("192.168.7.0/24", "fd77::/64")
    assert take_back(ATTIC, "fd77::/64", accepted) == {ATTIC: ("192.168.7.0/24",)}
    assert take_back(ATTIC, "192.168.7.0/24", {ATTIC: ("192.168.7.0/24",)}) == {}


def test_what_overlaps_is_refused_with_the_reason() -> None:
    with pytest.raises(SubnetOverlapsError, match="the network of eth0"):
        accept(BARN, "192.168.1.0/24", OFFERS, {}, OWN)
    with pytest.raises(SubnetOverlapsError, match="accepted from aaaaaaaa"):
        accept(BARN, "192.168.7.128/25", OFFERS, {ATTIC: ("192.168.7.0/24",)}, OWN)
    with pytest.raises(SubnetOverlapsError, match="the overlay home"):
        check_offer("172.16.0.0/16", OWN)
    assert check_offer("10.1.0.0/16", OWN) == "10.1.0.0/16"


def test_what_is_not_offered_cannot_be_accepted_or_taken_back() -> None:
    with pytest.raises(NotOfferedError):
        accept(ATTIC, "10.0.0.0/24", OFFERS, {}, OWN)
    with pytest.raises(NotOfferedError):
        take_back(ATTIC, "10.0.0.0/24", {})


def test_what_comes_into_the_way_later_is_not_routed_any_more() -> None:
    accepted = {ATTIC: ("192.168.7.0/24",)}
    moved = Surroundings({"192.168.0.0/16": "the network of wlan0"})
    subnet = arrange({}, accepted, moved)[0]
    assert subnet.standing is Standing.REFUSED
    assert "wlan0" in subnet.why
    both = {BARN: ("192.168.7.128/25",), **accepted}
    assert [one.standing for one in arrange({}, both, OWN)] == [Standing.ACTIVE, Standing.REFUSED]


def test_an_accepted_network_outlives_absence_but_not_withdrawal() -> None:
    accepted = {ATTIC: ("192.168.7.0/24",)}
    assert arrange({}, accepted, OWN)[0].standing is Standing.ACTIVE
    assert arrange({ATTIC: ()}, accepted, OWN)[0].standing is Standing.WITHDRAWN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "10.0.0.1/24",
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/7",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/8",
        "fe80::/64",
        "ff00::/32",
    ],
)
def test_networks_that_cannot_be_behind_a_peer(text: str) -> None:
    with pytest.raises(BadSubnetError):
        read(text)


nets = st.one_of(
    st.tuples(st.sampled_from(["10.{}.0.0/{}"]), st.integers(0, 3), st.integers(14, 18)).map(
        lambda it: str(ip_network(it[0].format(it[1], it[2]), strict=False))
    ),
    st.text(max_size=12),
)
by_peer = st.dictionaries(
    st.sampled_from([ATTIC, BARN, "c" * 40]), st.lists(nets, max_size=5).map(tuple), max_size=3
)


@given(by_peer, by_peer, st.booleans())
def test_routes_never_overlap_and_are_always_accepted(offers, accepted, has_own: bool) -> None:
    own = Surroundings({"10.2.0.0/16": "the network of eth0"} if has_own else {})
    subnets = arrange(offers, accepted, own)
    found = [ip_network(one) for one in routes(subnets)]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(found, 2))
    assert not any(one.overlaps(ip_network(other)) for one in found for other in own.networks)
    for uid, networks in allowed_ips(subnets).items():
        assert set(networks) <= set(accepted[uid])
        assert uid not in offers or set(networks) <= set(offers[uid])


@given(st.text(max_size=30))
def test_any_text_is_a_network_or_an_error(text: str) -> None:
    try:
        found = read(text)
    except BadSubnetError:
        return
    assert read(str(found)) == found
