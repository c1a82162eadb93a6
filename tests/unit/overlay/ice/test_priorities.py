"""The order of candidates."""

from __future__ import annotations

from wayhouse.overlay.ice.priorities import peer_reflexive, priority
from wayhouse.overlay.model import CandidateType

HOST, SEEN, RELAYED = CandidateType.HOST, CandidateType.SERVER_REFLEXIVE, CandidateType.RELAYED


def test_the_order() -> None:
    order = [
        priority(HOST, is_ipv6=True),
        priority(HOST, is_ipv6=False),
        priority(HOST, is_ipv6=True, order=1),
        priority(HOST, is_ipv6=False, order=1),
        priority(HOST, is_ipv6=False, order=500),
        priority(CandidateType.PEER_REFLEXIVE, is_ipv6=False),
        priority(SEEN, is_ipv6=True),
        priority(SEEN, is_ipv6=False),
        priority(RELAYED, is_ipv6=False),
        priority(RELAYED, is_ipv6=False, order=1),
    ]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) == len(order)
    assert all(0 < number < 1 << 31 for number in order)


def test_a_reflexive_one_of_the_same_base() -> None:
    assert peer_reflexive(priority(HOST, is_ipv6=True)) == priority(
        CandidateType.PEER_REFLEXIVE, is_ipv6=True
    )
