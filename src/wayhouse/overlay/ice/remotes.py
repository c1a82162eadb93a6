"""What of a peer's candidates may be checked: whoever is introduced names any address, and we send to it.

Used by `agent`. Rule: only UDP unicast addresses of one machine; never names, loopback, multicast or broadcast.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from wayhouse.overlay.ice.pair import Credentials, Remote
from wayhouse.overlay.model import Candidate, CandidateType

_LONGEST = 256


def remotes_of(candidates: Sequence[Candidate]) -> Iterator[tuple[Credentials, Remote]]:
    """The usable ones, in their order."""
    for candidate in candidates:
        host = usable(candidate.host)
        if (
            host is None
            or not 0 < candidate.port < 65536
            or candidate.protocol.lower() != "udp"
            or candidate.component != 1
        ):
            continue
        if not 0 < len(candidate.username) <= _LONGEST or not 0 < len(candidate.password) <= _LONGEST:
            continue
        kind = (
            candidate.type
            if candidate.type is not CandidateType.PEER_REFLEXIVE
            else CandidateType.SERVER_REFLEXIVE
        )
        weight = min(max(candidate.priority, 0), 0xFFFFFFFF)
        yield (
            Credentials(candidate.username, candidate.password),
            Remote((host, candidate.port), kind, weight),
        )


def usable(text: str) -> str | None:
    """The address in its usual spelling; None when nothing may be sent there."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None or address.is_link_local:
            return None
        address = address.ipv4_mapped or address
    if address.is_loopback or address.is_multicast or address.is_unspecified:
        return None
    is_broadcast = isinstance(address, ipaddress.IPv4Address) and address.is_reserved
    return None if is_broadcast else str(address)
