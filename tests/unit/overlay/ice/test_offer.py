"""What a peer is told of us."""

from __future__ import annotations

import pytest

from wayhouse.overlay.ice.offer import LocalAddress, Offer
from wayhouse.overlay.model import CandidateType, PathPolicy

LAN = LocalAddress("eth0", "192.168.1.2", is_ipv6=False)
SIX = LocalAddress("eth1", "2001:db8::2", is_ipv6=True)
PORTS = {False: 4000, True: 6000}


def test_each_address_once_in_a_generation() -> None:
    offer = Offer("user", "word", PathPolicy.AUTO)
    four, six = offer.hosts([LAN, SIX], PORTS)
    assert (four.host, four.port, four.interface, four.generation) == ("192.168.1.2", 4000, "eth0", 0)
    assert (six.host, six.port, six.username, six.password) == ("2001:db8::2", 6000, "user", "word")
    assert six.priority > four.priority
    assert offer.hosts([LAN, SIX], PORTS) == []
    (seen,) = offer.reflexive(("203.0.113.1", 5))
    assert (seen.type, seen.interface) == (CandidateType.SERVER_REFLEXIVE, "eth0")
    assert offer.find(("203.0.113.1", 5)) == seen
    (relayed,) = offer.relayed(("203.0.113.9", 9), 77)
    offer.begin_anew()
    assert offer.find(("203.0.113.9", 9)) == relayed
    assert offer.find(("203.0.113.1", 5)) is None
    assert {one.generation for one in offer.hosts([LAN], PORTS)} == {1}
    offer.forget_relayed()
    assert offer.relayed(("203.0.113.9", 9), 77)[0].generation == 1


@pytest.mark.parametrize(
    ("policy", "counts"),
    [
        (PathPolicy.AUTO, (1, 1, 1)),
        (PathPolicy.DIRECT, (1, 1, 0)),
        (PathPolicy.RELAY, (0, 0, 1)),
        (PathPolicy.OFF, (0, 0, 0)),
    ],
)
def test_policies(policy: PathPolicy, counts: tuple[int, int, int]) -> None:
    offer = Offer("user", "word", policy)
    told = (
        offer.hosts([LAN], PORTS),
        offer.reflexive(("203.0.113.1", 5)),
        offer.relayed(("203.0.113.9", 9), 1),
    )
    assert tuple(len(one) for one in told) == counts


def test_foundations() -> None:
    offer = Offer("user", "word", PathPolicy.AUTO)
    one, two = (offer.make(("192.0.2.1", port), CandidateType.HOST, 1) for port in (1, 2))
    three = offer.make(("192.0.2.2", 1), CandidateType.HOST, 1)
    assert one.foundation == two.foundation != three.foundation
    assert one.foundation.isdigit()


def test_many_addresses() -> None:
    many = [LocalAddress("eth0", f"10.0.0.{number}", is_ipv6=False) for number in range(50)]
    assert len(Offer("user", "word", PathPolicy.AUTO).hosts(many, PORTS)) == 10
