from __future__ import annotations

from ipaddress import IPv4Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.overlay.addressing import AddressesUsedUpError, gen_uid
from wayhouse.overlay.group import SUBNET, GroupAddresses, is_host, legacy_table, pick_address
from wayhouse.overlay.wishes import AddressConflict

ME, SMALL, LARGE = "5" * 40, "1" * 40, "9" * 40


def group(ip4: str = "172.16.0.1", **more: bool) -> GroupAddresses:
    return GroupAddresses(ME, ip4, **more)


def test_peers_go_by_what_they_claim() -> None:
    addresses = group()
    assert addresses.ip4_of(LARGE) == ""
    assert addresses.claim(LARGE, "172.16.0.9").uids == {LARGE}
    assert addresses.ip4_of(LARGE) == "172.16.0.9"
    assert addresses.owner_of(ip_address("172.16.0.9")) == LARGE
    assert addresses.claim(LARGE, "172.16.0.9").uids == frozenset()
    assert addresses.claim(LARGE, "").uids == {LARGE}
    assert addresses.owner_of(ip_address("172.16.0.9")) is None


def test_the_smaller_uid_keeps_an_address() -> None:
    addresses = group("172.16.0.7")
    found = addresses.claim(LARGE, "172.16.0.7")
    assert found.conflict == AddressConflict("172.16.0.7", ME, LARGE)
    assert addresses.ip4_of(LARGE) == ""
    found = addresses.claim(SMALL, "172.16.0.7")
    assert found.conflict == AddressConflict("172.16.0.7", SMALL, ME)
    assert found.uids == {SMALL, ME}
    assert addresses.forget(SMALL).uids == {ME}
    assert addresses.owner_of(ip_address("172.16.0.7")) == ME


@pytest.mark.parametrize("ip4", ["172.16.0.0", "172.16.0.255", "192.168.0.1", "x", ""])
def test_an_address_outside_the_network_is_none(ip4: str) -> None:
    addresses = group()
    assert addresses.claim(LARGE, ip4).uids == frozenset()
    assert not is_host(ip4, SUBNET)


def test_the_loser_goes_elsewhere_unless_its_address_is_fixed() -> None:
    found = group().elsewhere()
    assert is_host(found, SUBNET)
    assert found != "172.16.0.1"
    assert group(may_move=False).elsewhere() == ""


def test_a_full_network_is_told() -> None:
    small = IPv4Network("172.16.0.0/30")
    assert pick_address(ME, small, {"172.16.0.1"}) == "172.16.0.2"
    with pytest.raises(AddressesUsedUpError):
        pick_address(ME, small, {"172.16.0.1", "172.16.0.2"})


def test_old_nodes_are_known_by_their_uid() -> None:
    old = gen_uid("172.16.0.44")
    addresses = group(is_legacy=True)
    assert addresses.meet(old).uids == {old}
    assert addresses.owner_of(ip_address("172.16.0.44")) == old
    strict = group()
    strict.meet(old)
    assert strict.ip4_of(old) == ""
    assert legacy_table(IPv4Network("10.0.0.0/8")) == {}


uids = st.sampled_from(["1" * 40, "3" * 40, "5" * 40, "7" * 40])
claims = st.tuples(uids, st.sampled_from(["172.16.0.1", "172.16.0.2", "", "bad"]))


@given(st.lists(claims, max_size=20))
def test_all_nodes_come_to_the_same_verdict(steps: list[tuple[str, str]]) -> None:
    """Whatever the order, only the last claims count."""
    last = dict(steps)
    last.setdefault(ME, "172.16.0.1")
    seen = group()
    known = {ME: "172.16.0.1"}
    for uid, ip4 in steps:
        changed = seen.claim(uid, ip4).uids
        now = {one: seen.ip4_of(one) for one in (*last, ME)}
        assert {one for one in now if now[one] != known.get(one, "")} <= changed, "a change was not told"
        known = now
    fresh = group("")
    for uid in sorted(last, reverse=True):
        fresh.claim(uid, last[uid])
    assert {uid: fresh.ip4_of(uid) for uid in last} == {uid: seen.ip4_of(uid) for uid in last}
    given_away = [ip4 for uid in last if (ip4 := seen.ip4_of(uid))]
    assert len(given_away) == len(set(given_away))


@given(st.sets(st.integers(1, 254), max_size=253))
def test_a_picked_address_is_free(taken: set[int]) -> None:
    used = {f"172.16.0.{number}" for number in taken}
    found = pick_address(ME, SUBNET, used)
    assert found not in used
    assert is_host(found, SUBNET)


def test_what_is_not_proved_only_says_whom_to_wake() -> None:
    addresses = group()
    addresses.hint(LARGE, "172.16.0.9")
    addresses.hint(SMALL, "10.0.0.1")
    assert addresses.owner_of(ip_address("172.16.0.9")) == LARGE
    assert addresses.ip4_of(LARGE) == ""
    addresses.claim(SMALL, "172.16.0.9")
    assert addresses.owner_of(ip_address("172.16.0.9")) == SMALL
    addresses.leave(SMALL)
    addresses.leave(LARGE)
    assert addresses.owner_of(ip_address("172.16.0.9")) is None
