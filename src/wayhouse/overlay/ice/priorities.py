"""Priorities of candidates (RFC 8445 section 5.1.2): host before reflexive before relayed, IPv6 before IPv4, UDP relays before others.

Used by the gatherer and by `agent`.
"""

from __future__ import annotations

from wayhouse.overlay.model import CandidateType

_TYPES = {
    CandidateType.HOST: 126,
    CandidateType.PEER_REFLEXIVE: 110,
    CandidateType.SERVER_REFLEXIVE: 100,
    CandidateType.RELAYED: 0,
}
_COMPONENT = 1


def priority(kind: CandidateType, *, is_ipv6: bool, order: int = 0) -> int:
    """`order`: 0 is the first of its kind and family, 1 the next."""
    local = (65535 if is_ipv6 else 65279) - 256 * (2 * min(order, 60))
    return _TYPES[kind] << 24 | local << 8 | (256 - _COMPONENT)


def peer_reflexive(of: int) -> int:
    """The priority that a candidate of this priority would have if the peer learned it from a check."""
    return _TYPES[CandidateType.PEER_REFLEXIVE] << 24 | of & 0xFFFFFF
