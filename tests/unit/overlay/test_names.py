from __future__ import annotations

import contextlib
import re
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.names import NameBook, Named, label, labels, reverse_address, zone_name

A, B, C = "aa" * 20, "bb" * 20, "cc" * 20


def book(*members: Named) -> NameBook:
    return NameBook("Home", members, ["172.16.0.0/24", "fd50::/64"])


def test_names_and_addresses_both_ways() -> None:
    found = book(Named(uid=A, name="Attic", ip4="172.16.0.2", ip6="fd50::2"), Named(uid=B, ip4="172.16.0.3"))
    host = found.host("attic.home")
    assert host is not None
    assert host.addresses == (IPv4Address("172.16.0.2"), IPv6Address("fd50::2"))
    assert found.host("aaaaaaaa.home") is not None
    assert found.host("bbbbbbbb.home") is not None
    assert found.host("barn.home") is None
    assert found.name_of(ip_address("fd50::2")) == "attic.home"
    assert found.name_of(ip_address("172.16.0.3")) == "bbbbbbbb.home"
    assert found.is_own(ip_address("172.16.0.77"))
    assert not found.is_own(ip_address("192.0.2.1"))
    assert found.has("barn.home")
    assert found.has("home")
    assert not found.has("ahome")


def test_of_two_with_one_name_the_smaller_uid_keeps_it() -> None:
    members = [Named(uid=C, name="attic"), Named(uid=A, name="Attic"), Named(uid=B, name="ATTIC")]
    assert (
        labels(members)
        == labels(reversed(members))
        == {
            A: ("attic", "aaaaaaaa"),
            B: ("attic-2", "bbbbbbbb"),
            C: ("attic-3", "cccccccc"),
        }
    )


def test_a_number_does_not_take_the_name_of_another() -> None:
    members = [Named(uid=A, name="attic"), Named(uid=B, name="attic"), Named(uid=C, name="attic-2")]
    assert [labels(members)[uid][0] for uid in (A, B, C)] == ["attic", "attic-3", "attic-2"]


def test_nobody_takes_the_name_made_of_anothers_uid() -> None:
    assert labels([Named(uid=A, name="cccccccc"), Named(uid=C, name="x")]) == {
        A: ("cccccccc-2", "aaaaaaaa"),
        C: ("x", "cccccccc"),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Attic", "attic"),
        ("my gateway!", "my-gateway"),
        ("Bücherei", "xn--bcherei-n2a"),
        ("--", ""),
        ("東京", "xn--1lqs71d"),
        ("a.b", "a-b"),
        ("a" * 80, "a" * 63),
        ("ﬁ", "fi"),
    ],
)
def test_labels_of_people(text: str, expected: str) -> None:
    assert label(text) == expected


@pytest.mark.parametrize(
    "text", ["", ".", "a..b", "arpa", "x.arpa", "localhost", "1", "home.7", "-", "b." * 60 + "c"]
)
def test_zones_that_are_none(text: str) -> None:
    with pytest.raises(BadInputError):
        zone_name(text)


@given(st.text(max_size=100))
def test_any_text_makes_a_label_or_nothing(text: str) -> None:
    found = label(text)
    assert found == "" or re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", found)
    assert label(found) == found
    with contextlib.suppress(BadInputError):
        assert zone_name(zone_name(text)) == zone_name(text)


uids = st.integers(0, 2**160 - 1).map(lambda number: f"{number:040x}")
texts = st.one_of(st.sampled_from(["attic", "attic-2", "00000000", "x" * 63]), st.text(max_size=6))


@given(st.lists(st.builds(Named, uid=uids, name=texts), max_size=12), st.randoms())
def test_everybody_gives_the_same_names_and_no_name_twice(members: list[Named], dice) -> None:
    first = {one.uid: one for one in members}
    shuffled = list(first.values())
    dice.shuffle(shuffled)
    found = labels(first.values())
    assert found == labels(shuffled)
    every = [each for own in found.values() for each in own]
    assert len(every) == len(set(every))
    assert all(len(each) <= 63 for each in every)


@given(st.ip_addresses())
def test_reverse_names(address) -> None:
    assert reverse_address(address.reverse_pointer) == address


@given(st.text(alphabet="0123456789abcdef.xin-dr", max_size=80))
def test_any_name_is_a_reverse_name_or_none(text: str) -> None:
    for name in (text, f"{text}.in-addr.arpa", f"{text}.ip6.arpa"):
        reverse_address(name)
