"""The candidates that a peer is told of: our addresses, each once in a generation, and only those that the policy lets it know.

Used by `drivers/ice.py`. Rule: with the policy RELAY nothing but relayed addresses leaves this machine, with DIRECT no relayed one.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import msgspec

from wayhouse.base import ids
from wayhouse.overlay.ice.priorities import priority
from wayhouse.overlay.ice.stun import Host
from wayhouse.overlay.model import Candidate, CandidateType, PathPolicy

_MOST_ADDRESSES = 10


class LocalAddress(msgspec.Struct, frozen=True):
    """An address of this machine."""

    interface: str
    host: str
    is_ipv6: bool


class Offer:
    """Each verb gives what is new and is to be told."""

    def __init__(self, username: str, password: str, policy: PathPolicy) -> None:
        self.addresses: Sequence[LocalAddress] = ()
        self._username, self._password = username, password
        self._policy = policy
        self._generation = 0
        self._told: dict[Host, Candidate] = {}

    def hosts(self, addresses: Sequence[LocalAddress], ports: Mapping[bool, int]) -> list[Candidate]:
        """`ports` of our sockets, by whether they are IPv6."""
        self.addresses = addresses
        found = []
        for is_ipv6, port in ports.items():
            own = [one for one in addresses if one.is_ipv6 == is_ipv6][:_MOST_ADDRESSES]
            for order, one in enumerate(own):
                weight = priority(CandidateType.HOST, is_ipv6=is_ipv6, order=order)
                found.append(self.make((one.host, port), CandidateType.HOST, weight, one.interface))
        return self._fresh(found)

    def reflexive(self, mapped: Host) -> list[Candidate]:
        weight = priority(CandidateType.SERVER_REFLEXIVE, is_ipv6=":" in mapped[0])
        return self._fresh([self.make(mapped, CandidateType.SERVER_REFLEXIVE, weight)])

    def relayed(self, host: Host, weight: int) -> list[Candidate]:
        return self._fresh([self.make(host, CandidateType.RELAYED, weight)])

    def begin_anew(self) -> None:
        """Our addresses changed: all are told again, of the next generation; relays that live are still good."""
        self._generation += 1
        self._told = {host: one for host, one in self._told.items() if one.type is CandidateType.RELAYED}

    def forget_relayed(self) -> None:
        self._told = {host: one for host, one in self._told.items() if one.type is not CandidateType.RELAYED}

    def find(self, host: Host) -> Candidate | None:
        return self._told.get(host)

    def make(self, host: Host, kind: CandidateType, weight: int, interface: str = "") -> Candidate:
        """Without telling it. What is seen from outside is of the first interface of its family."""
        is_ipv6 = ":" in host[0]
        first = next((one.interface for one in self.addresses if one.is_ipv6 == is_ipv6), "")
        return Candidate(
            host=host[0],
            port=host[1],
            type=kind,
            priority=weight,
            foundation=str(zlib.crc32(f"{kind}|{host[0]}".encode())),
            username=self._username,
            password=self._password,
            interface=interface or first,
            generation=self._generation,
            id=ids.short_id(8),
        )

    def _fresh(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        fresh = []
        for one in candidates:
            if (one.host, one.port) not in self._told and self._may_tell(one.type):
                self._told[one.host, one.port] = one
                fresh.append(one)
        return fresh

    def _may_tell(self, kind: CandidateType) -> bool:
        is_relayed = kind is CandidateType.RELAYED
        if self._policy is PathPolicy.RELAY:
            return is_relayed
        return self._policy is PathPolicy.AUTO or (self._policy is PathPolicy.DIRECT and not is_relayed)
