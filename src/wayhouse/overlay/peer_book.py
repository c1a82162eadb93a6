"""What the parts of the controller share: the peers, who is due when, what is wanted. Used by `controller.py`, `seeking.py` and `keeping.py`.

Rules: at most `MOST_PEERS` are known, whoever is away the longest makes room.
"""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

import msgspec

from wayhouse.overlay.addressing import AddressesUsedUpError
from wayhouse.overlay.known_peer import NOBODY, KnownPeer
from wayhouse.overlay.model import is_uid
from wayhouse.overlay.pace import Agenda, Bucket
from wayhouse.overlay.tincan import Forward
from wayhouse.overlay.wishes import (
    AddressConflict,
    MoveTo,
    News,
    NoAddressLeft,
    Own,
    SetAddress,
    TooManyPeers,
    Wish,
)

MOST_PEERS = 1024


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`wait_time_s` is tincan's: links offline for twice as long are trimmed, those that never came up after four times. `on_demand` makes
    links only for packets and ends them when `idle_timeout_s` passed without any. `rate` and `burst` are the tokens a second and at once."""

    wait_time_s: float = 15.0
    on_demand: bool = False
    idle_timeout_s: float = 600.0
    rate: float = 2.0
    burst: int = 40


class Changes(msgspec.Struct, frozen=True):
    """What a claim brought about: whose address is another one now, and who was in whose way."""

    uids: frozenset[str] = frozenset()
    conflict: AddressConflict | None = None


class Addresses(Protocol):
    """What peers are called: a private view (`social.py`), or one network for all (`group.py`)."""

    def meet(self, uid: str) -> Changes:
        """A peer turned up."""
        ...

    def claim(self, uid: str, ip4: str) -> Changes:
        """A node, maybe this one, says that it goes by `ip4`; "" takes it back."""
        ...

    def hint(self, uid: str, ip4: str) -> None:
        """A peer says so and did not prove it: only good for knowing whom to wake for a packet."""
        ...

    def ip4_of(self, uid: str) -> str:
        """Empty while it has none. Raises `AddressesUsedUpError`."""
        ...

    def ip6_of(self, uid: str) -> str: ...

    def owner_of(self, address: IPv4Address | IPv6Address) -> str | None: ...

    def forget(self, uid: str) -> Changes:
        """The peer is gone for good."""
        ...

    def leave(self, uid: str) -> Changes:
        """It is not kept in mind any more, but may come back."""
        ...

    def elsewhere(self) -> str:
        """A free address for this node; "" if it may not move. Raises `AddressesUsedUpError`."""
        ...


class PeerBook:
    def __init__(self, uid: str, own: Own, addresses: Addresses, settings: Settings) -> None:
        self.uid = uid
        self.own = own
        self.addresses = addresses
        self.settings = settings
        self.version = 0
        """Of what we tell of ourselves."""
        self.peers: dict[str, KnownPeer] = {}
        self.refused: set[str] = set()
        self.bucket = Bucket(settings.rate, settings.burst)
        self.asks = Agenda()
        """Peers without a link, or who have to be told something."""
        self.links = Agenda()
        """Links at which somebody has to look."""
        self.outbox: list[Wish] = []
        self.events: list[News] = []

    def meet(self, uid: str, now: float) -> KnownPeer | None:
        """The peer; None if it cannot be one, or there are too many."""
        peer = self.peers.get(uid)
        if peer is None:
            if uid == self.uid or not is_uid(uid) or not self._make_room(uid, now):
                return None
            peer = self.peers[uid] = KnownPeer(uid)
            self.apply(self.addresses.meet(uid), now)
        peer.seen = now
        return peer

    def drop(self, uid: str) -> None:
        self.peers.pop(uid, None)
        self.asks.drop(uid)
        self.links.drop(uid)

    def say(self, peer: KnownPeer, kind: str, data: str) -> None:
        self.outbox.append(Forward(kind=kind, uid=peer.uid, data=data))

    def announce(self, peer: KnownPeer, kind: str) -> None:
        """Say who we are."""
        self.say(peer, kind, self.own.data)
        peer.told = self.version

    def set_address(self, uid: str) -> None:
        try:
            ip4 = self.addresses.ip4_of(uid)
        except AddressesUsedUpError:
            ip4 = ""
            self.events.append(NoAddressLeft(uid))
        self.outbox.append(SetAddress(uid, ip4, self.addresses.ip6_of(uid)))

    def apply(self, changes: Changes, now: float) -> None:
        """Pass on the new addresses of peers with a link, and tell who is in the way of whom."""
        for uid in sorted(changes.uids):
            peer = self.peers.get(uid)
            if peer is not None and peer.has_link:
                self.set_address(uid)
        if changes.conflict is not None:
            self.events.append(changes.conflict)
            self._settle(changes.conflict, now)

    def _settle(self, conflict: AddressConflict, now: float) -> None:
        """The loser is told by the keeper, and goes elsewhere."""
        if conflict.keeper == self.uid and conflict.loser in self.peers:
            self.peers[conflict.loser].told = NOBODY
            self.asks.hasten(conflict.loser, now)
        elif conflict.loser == self.uid:
            try:
                elsewhere = self.addresses.elsewhere()
            except AddressesUsedUpError:
                self.events.append(NoAddressLeft(self.uid))
            else:
                self.outbox.extend([MoveTo(elsewhere)] if elsewhere else [])

    def _make_room(self, uid: str, now: float) -> bool:
        """Whoever is away the longest makes it. What is kept of peers is bounded, however many uids turn up."""
        if len(self.peers) < MOST_PEERS:
            return True
        away = [peer for peer in self.peers.values() if not peer.has_link and not peer.is_present]
        if not away:
            self.events.append(TooManyPeers(uid))
            return False
        longest = min(away, key=lambda peer: peer.seen).uid
        self.drop(longest)
        self.apply(self.addresses.leave(longest), now)
        return True

    def deadline(self) -> float:
        asks = self.asks.next()
        return min(
            self.links.next(), asks if math.isinf(asks) and asks > 0 else max(asks, self.bucket.ready())
        )
