"""The peers that a node knows, by uid. Used by `node.py`. Rule: however many turn up, only so many are kept, and those with a link always."""

from __future__ import annotations

from collections.abc import Callable

from wayhouse.base.errors import ConflictError
from wayhouse.overlay.model import NoSuchPeerError
from wayhouse.overlay.peer import Peer

MOST_PEERS = 4096


class Peers(dict[str, Peer]):
    def __init__(self, make: Callable[[str], Peer]) -> None:
        super().__init__()
        self._make = make

    def meet(self, uid: str) -> Peer:
        """The peer, known or new. Raises `ConflictError` when there are too many."""
        if uid not in self:
            if len(self) >= MOST_PEERS:
                self._make_room()
            self[uid] = self._make(uid)
        return self[uid]

    def known(self, uid: str) -> Peer:
        """Raises `NoSuchPeerError`."""
        if uid not in self:
            raise NoSuchPeerError(f"No peer {uid} is known to this node.", uid=uid)
        return self[uid]

    def holder(self, tunnel_key: bytes) -> Peer | None:
        """Who has proved, or at least shown, that this tunnel key is its own."""
        for peer in self.values():
            if peer.verified is not None and peer.verified.tunnel_key == tunnel_key:
                return peer
        return None

    def set_address(self, peer: Peer, ip4: str, ip6: str) -> None:
        """An address that another peer had is this one's from now on."""
        for other in self.values():
            if other is not peer and ((ip4 and other.ip4 == ip4) or (ip6 and other.ip6 == ip6)):
                other.set_addresses(
                    "" if other.ip4 == ip4 else other.ip4, "" if other.ip6 == ip6 else other.ip6
                )
        if (peer.ip4, peer.ip6, peer.has_addresses) != (ip4, ip6, True):
            peer.set_addresses(ip4, ip6)

    def _make_room(self) -> None:
        """Forget the one without a link that was not seen for longest."""
        idle = [peer for peer in self.values() if not peer.link.is_open]
        oldest = min(idle, key=lambda peer: peer.seen_at or 0.0, default=None)
        if oldest is None:
            raise ConflictError(f"There are links to {MOST_PEERS} peers; trim some.")
        del self[oldest.uid]
