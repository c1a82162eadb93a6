"""SocialVPN: friends, and a private view of addresses. This node is always the same address, and peers are .101, .102... in the order they turned up here.

Called by `node.py`. Rule: a uid keeps its address for as long as it is not forgotten, over restarts too (`given` is kept by the owner); what a peer says
about addresses does not count here, since every node has its own view.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from wayhouse.overlay.addressing import IP6_PREFIX, gen_ip4, gen_ip6
from wayhouse.overlay.controller import Controller
from wayhouse.overlay.peer_book import Changes, Settings
from wayhouse.overlay.wishes import Own

OWN_IP4 = "172.31.0.100"


class SocialAddresses:
    """`given` is address by uid, from before and from the file that fixes them."""

    def __init__(
        self, ip4: str = OWN_IP4, given: Mapping[str, str] | None = None, *, ip6_prefix: str = IP6_PREFIX
    ) -> None:
        self._ip4 = ip4
        self._prefix = ip6_prefix
        self.given: dict[str, str] = dict(given or {})
        self._by_ip6: dict[str, str] = {}

    def meet(self, uid: str) -> Changes:
        self._by_ip6.setdefault(uid[:16], uid)
        return Changes()

    def claim(self, uid: str, ip4: str) -> Changes:
        return Changes()

    def hint(self, uid: str, ip4: str) -> None:
        """As `claim`: it does not count."""

    def ip4_of(self, uid: str) -> str:
        """Raises `AddressesUsedUpError`."""
        return gen_ip4(uid, self.given, self._ip4)

    def ip6_of(self, uid: str) -> str:
        return gen_ip6(uid, self._prefix)

    def owner_of(self, address: IPv4Address | IPv6Address) -> str | None:
        if isinstance(address, IPv6Address):
            return owner_by_ip6(address, self._prefix, self._by_ip6)
        text = str(address)
        return next((uid for uid, given in self.given.items() if given == text), None)

    def forget(self, uid: str) -> Changes:
        self.given.pop(uid, None)
        return self.leave(uid)

    def leave(self, uid: str) -> Changes:
        """Its address stays its own."""
        if self._by_ip6.get(uid[:16]) == uid:
            del self._by_ip6[uid[:16]]
        return Changes()

    def elsewhere(self) -> str:
        """Nobody can be in the way of a private view."""
        return ""


def owner_by_ip6(address: IPv6Address, prefix: str, by_start: Mapping[str, str]) -> str | None:
    """Who goes by this address; `by_start` is the uid by its first 16 digits."""
    if address not in IPv6Network(f"{prefix}::/64"):
        return None
    return by_start.get(f"{int(address) & (2**64 - 1):016x}")


def social_controller(
    uid: str, own: Own, settings: Settings | None = None, given: Mapping[str, str] | None = None
) -> Controller:
    """The controller of a SocialVPN node. `given` is address by uid, as it was before."""
    return Controller(uid, own, SocialAddresses(own.ip4, given), settings, reads_words=False)
