"""Peers with a link: which links are taken away, and which are made anew. A part of the controller, over its `PeerBook`.

Rules: offline for twice `wait_time` is trimmed, never up after four times, too; a link that is up is replaced only when its peer asked for a new one and
nothing came in since, so that a forged `con_req` cannot end a link that is in use; an idle on-demand link is ended on both ends.
"""

from __future__ import annotations

import math

from wayhouse.overlay.known_peer import KnownPeer
from wayhouse.overlay.model import LinkStatus
from wayhouse.overlay.peer_book import PeerBook
from wayhouse.overlay.seeking import Seeking
from wayhouse.overlay.tincan import TrimLink

STALE_LINK_S = 5.0
"""A link that is not up after this long is made anew when the peer asks for one."""
DOUBT_S = 5.0
DESTROY = "destroy"


class Keeping:
    def __init__(self, book: PeerBook, seeking: Seeking) -> None:
        self._book = book
        self._seeking = seeking

    def trim_connections(self, now: float) -> None:
        for uid in self._book.links.take_due(now):
            peer = self._book.peers[uid]
            if peer.status is LinkStatus.ONLINE:
                self._look_at_online(peer, now)
            elif now >= (until := self._patience(peer)):
                self.trim(peer, now)
            else:
                self._book.links.put(uid, until)

    def trim(self, peer: KnownPeer, now: float) -> None:
        self._book.outbox.append(TrimLink(uid=peer.uid))
        self.ended(peer, now)

    def ended(self, peer: KnownPeer, now: float) -> None:
        """There is no link any more. If the peer wanted a new one it gets it; else it is asked, with back-off if the link never came up."""
        if peer.status is LinkStatus.UNKNOWN:
            self._seeking.failed(peer, now)
        self._book.links.drop(peer.uid)
        peer.link_gone()
        if peer.request is not None:
            self._book.asks.put(peer.uid, now)
        elif self._book.settings.on_demand:
            self._seeking.rest(peer, now)
        else:
            self._seeking.plan(peer, now)

    def changed(self, peer: KnownPeer, status: LinkStatus, now: float) -> None:
        """The link is up, or down."""
        if peer.status is status:
            return
        peer.status, peer.since = status, now
        if status is LinkStatus.ONLINE:
            peer.start_afresh()
            peer.moved_at, peer.request, peer.doubted = now, None, None
            self._book.links.drop(peer.uid)
            self._watch(peer, now)
        elif peer.request is not None:
            self._remake(peer, peer.request, now)
        else:
            self._book.links.put(peer.uid, self._patience(peer))

    def moved(self, peer: KnownPeer, traffic: tuple[int, int], now: float) -> None:
        """How much went over the link so far, and came in."""
        if peer.traffic != traffic:
            peer.traffic, peer.moved_at = traffic, now
        if peer.doubted is not None and now >= peer.doubted[0] + DOUBT_S:
            if peer.request is not None and peer.received == peer.doubted[1]:
                self._remake(peer, peer.request, now)
            else:
                peer.doubted = peer.request = None

    def asked_again(self, peer: KnownPeer, fingerprint: str, cas: str, now: float) -> None:
        """The peer wants a link and there is one: it began anew, or this crossed with something older."""
        if peer.status is LinkStatus.ONLINE:
            peer.doubted = peer.doubted or (now, peer.received)
            if fingerprint == peer.fingerprint:
                peer.request = cas
            self._watch(peer, now)
        elif peer.status is LinkStatus.OFFLINE or now >= peer.since + STALE_LINK_S:
            peer.fingerprint = fingerprint
            self._remake(peer, cas, now)

    def destroyed(self, peer: KnownPeer, now: float) -> None:
        """The peer ended an idle link. There is one again when there is something to send, or when it asks."""
        peer.is_resting = not self._book.settings.on_demand
        peer.request = None
        self.trim(peer, now)

    def _patience(self, peer: KnownPeer) -> float:
        times = 2 if peer.status is LinkStatus.OFFLINE else 4
        return peer.since + times * self._book.settings.wait_time_s

    def _look_at_online(self, peer: KnownPeer, now: float) -> None:
        if peer.doubted is not None and now >= self._end_of_doubt(peer):
            peer.doubted = peer.request = None  # nobody told any figures: it is up, so it stays
        if self._is_idle(peer, now):
            self._book.say(peer, "send_msg", DESTROY + self._book.uid)
            self.trim(peer, now)
        else:
            self._watch(peer, now)

    def _is_idle(self, peer: KnownPeer, now: float) -> bool:
        settings = self._book.settings
        return (
            settings.on_demand and peer.traffic is not None and now >= peer.moved_at + settings.idle_timeout_s
        )

    def _end_of_doubt(self, peer: KnownPeer) -> float:
        return peer.doubted[0] + 2 * self._book.settings.wait_time_s if peer.doubted else math.inf

    def _watch(self, peer: KnownPeer, now: float) -> None:
        """Look again when there is something to see."""
        settings = self._book.settings
        idle = max(peer.moved_at + settings.idle_timeout_s, now + 1) if settings.on_demand else math.inf
        self._book.links.put(peer.uid, min(idle, self._end_of_doubt(peer)))

    def _remake(self, peer: KnownPeer, cas: str, now: float) -> None:
        """The peer has no link any more, ours is what is left of the old one."""
        self._book.outbox.append(TrimLink(uid=peer.uid))
        self._book.links.drop(peer.uid)
        peer.link_gone()
        peer.request = cas
        self._book.asks.put(peer.uid, now)
