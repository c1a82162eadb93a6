"""GroupVPN: one network for all, where every node tells the address it goes by.

Called by `node.py`. Rules: of two nodes with one address the smaller uid keeps it, every node comes to the same verdict by itself, and both are told; the
loser takes a free one. Uids are random; only in a network with old nodes is a uid also read as the SHA-1 of an address.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from wayhouse.overlay.addressing import IP6_PREFIX, AddressesUsedUpError, gen_ip6, gen_uid
from wayhouse.overlay.controller import Controller
from wayhouse.overlay.peer_book import Changes, Settings
from wayhouse.overlay.social import owner_by_ip6
from wayhouse.overlay.wishes import AddressConflict, Own

SUBNET = IPv4Network("172.16.0.0/24")
LARGEST_LEGACY = 16
"""Prefix length of the largest network in which uids are read as addresses: one hash for each of its addresses."""


@functools.lru_cache(maxsize=4096)
def is_host(ip4: str, subnet: IPv4Network) -> bool:
    """Whether a node of the network may go by it."""
    try:
        address = IPv4Address(ip4)
    except ValueError:
        return False
    return address in subnet and address not in (subnet.network_address, subnet.broadcast_address)


def pick_address(uid: str, subnet: IPv4Network, taken: Collection[str]) -> str:
    """A free address that is another one for each uid, so that nodes that pick at the same time seldom meet. Raises `AddressesUsedUpError`."""
    hosts = subnet.num_addresses - 2
    start = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8], "big")
    for step in range(min(max(hosts, 0), len(taken) + 1)):
        found = str(subnet.network_address + 1 + (start + step) % hosts)
        if found not in taken:
            return found
    raise AddressesUsedUpError(f"All addresses of {subnet} are taken; use a larger network.")


@functools.lru_cache(maxsize=2)
def legacy_table(subnet: IPv4Network) -> dict[str, str]:
    """Address by the uid that a GroupVPN node of 2014 has with it."""
    if subnet.prefixlen < LARGEST_LEGACY:
        return {}
    return {gen_uid(str(address)): str(address) for address in subnet.hosts()}


class GroupAddresses:
    """`is_legacy`: old nodes, whose uid is made from their address, may be among the peers. `may_move`: take another address when ours is
    a smaller uid's; not when a ticket fixes it."""

    def __init__(
        self,
        uid: str,
        ip4: str,
        subnet: IPv4Network = SUBNET,
        *,
        ip6_prefix: str = IP6_PREFIX,
        is_legacy: bool = False,
        may_move: bool = True,
    ) -> None:
        self._uid = uid
        self._subnet = subnet
        self._prefix = ip6_prefix
        self._is_legacy = is_legacy
        self._may_move = may_move
        self._claims: dict[str, list[str]] = {}
        self._claim_of: dict[str, str] = {}
        self._hint_of: dict[str, str] = {}
        self._by_ip6: dict[str, str] = {}
        self.claim(uid, ip4)

    def meet(self, uid: str) -> Changes:
        self._by_ip6.setdefault(uid[:16], uid)
        if self._is_legacy and uid not in self._claim_of and uid in (table := legacy_table(self._subnet)):
            return self.claim(uid, table[uid])
        return Changes()

    def claim(self, uid: str, ip4: str) -> Changes:
        """What is no address of the network counts as none."""
        before = self._claim_of.get(uid, "")
        if ip4 != before and not is_host(ip4, self._subnet):
            ip4 = ""
        if ip4 == before:
            return Changes()
        changed = self._unclaim(uid) | {uid}
        if not ip4:
            return Changes(frozenset(changed))
        claimants = self._claims.setdefault(ip4, [])
        first = claimants[0] if claimants else uid
        bisect.insort(claimants, uid)
        self._claim_of[uid] = ip4
        keeper = claimants[0]
        loser = first if keeper == uid else uid
        conflict = AddressConflict(ip4, keeper, loser) if loser != keeper else None
        return Changes(frozenset({*changed, first}), conflict)

    def hint(self, uid: str, ip4: str) -> None:
        if is_host(ip4, self._subnet):
            self._hint_of[uid] = ip4

    def ip4_of(self, uid: str) -> str:
        ip4 = self._claim_of.get(uid, "")
        return ip4 if ip4 and self._claims[ip4][0] == uid else ""

    def ip6_of(self, uid: str) -> str:
        return gen_ip6(uid, self._prefix)

    def owner_of(self, address: IPv4Address | IPv6Address) -> str | None:
        if isinstance(address, IPv6Address):
            return owner_by_ip6(address, self._prefix, self._by_ip6)
        text = str(address)
        if claimants := self._claims.get(text):
            return claimants[0]
        return min((uid for uid, hint in self._hint_of.items() if hint == text), default=None)

    def forget(self, uid: str) -> Changes:
        if self._by_ip6.get(uid[:16]) == uid:
            del self._by_ip6[uid[:16]]
        self._hint_of.pop(uid, None)
        return Changes(frozenset(self._unclaim(uid)))

    def leave(self, uid: str) -> Changes:
        return self.forget(uid)

    def elsewhere(self) -> str:
        return pick_address(self._uid, self._subnet, self._claims) if self._may_move else ""

    def _unclaim(self, uid: str) -> set[str]:
        """Whose address is another one by that."""
        ip4 = self._claim_of.pop(uid, "")
        if not ip4:
            return set()
        claimants = self._claims[ip4]
        was_keeper = claimants[0] == uid
        claimants.remove(uid)
        if not claimants:
            del self._claims[ip4]
        return {claimants[0]} if was_keeper and claimants else set()


def group_controller(
    uid: str,
    own: Own,
    settings: Settings | None = None,
    *,
    subnet: IPv4Network = SUBNET,
    is_legacy: bool = False,
    may_move: bool = True,
    reads_words: bool = True,
    ip6_prefix: str = IP6_PREFIX,
) -> Controller:
    """The controller of a GroupVPN node. `reads_words=False`: only addresses that the node verified (`Claimed`) are used."""
    addresses = GroupAddresses(
        uid, own.ip4, subnet, ip6_prefix=ip6_prefix, is_legacy=is_legacy, may_move=may_move
    )
    return Controller(uid, own, addresses, settings, reads_words=reads_words)
