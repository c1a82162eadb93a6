"""Peers without a link: when to ask, whom to accept, when to try again. A part of the controller, over its `PeerBook`.

Rules: the larger uid asks at once, the smaller one later if nothing came; of two that asked, the larger uid's `con_req` counts, and the smaller one's only
if nothing came of it; with on-demand links `con_req` only tells who we are, and a packet makes the link.
"""

from __future__ import annotations

import math

from wayhouse.overlay.known_peer import KnownPeer
from wayhouse.overlay.pace import back_off, share
from wayhouse.overlay.peer_book import PeerBook
from wayhouse.overlay.tincan import CreateLink
from wayhouse.overlay.wishes import ANNOUNCE

COLLISION_S = 2.0
"""For how long after asking ourselves a smaller uid's `con_req` waits."""
SMALLER_WAITS_S = 3.0
JITTER_S = 1.0
FIRST_RETRY_S = 8.0
CALM_S = 60.0
"""Idle peers are not told who we are more often than this."""
REANNOUNCE_S = 900.0
"""How often they are told if nothing happens."""


class Seeking:
    def __init__(self, book: PeerBook) -> None:
        self._book = book

    def run(self, now: float) -> None:
        """Do what is due, as far as there are tokens."""
        book = self._book
        while book.asks.next() <= now and book.bucket.take(now):
            peer = book.peers[book.asks.first()]
            book.asks.drop(peer.uid)
            if peer.uid not in book.refused:
                self._step(peer, now)

    def create_connection(self, peer: KnownPeer, fingerprint: str, cas: str, now: float) -> None:
        """Make a link, or give an existing one what the peer told."""
        book = self._book
        book.outbox.append(CreateLink(uid=peer.uid, fpr=fingerprint, cas=cas))
        peer.fingerprint = fingerprint
        if not peer.has_link:
            peer.link_made(now)
            peer.told = book.version
            book.asks.drop(peer.uid)
            book.links.put(peer.uid, now + 4 * book.settings.wait_time_s)
            book.set_address(peer.uid)

    def plan(self, peer: KnownPeer, now: float) -> None:
        """Ask in a moment, or when the back-off is over."""
        book = self._book
        if peer.has_link or not peer.is_present or peer.is_resting:
            return
        later = 0.0 if book.settings.on_demand or book.uid > peer.uid else SMALLER_WAITS_S
        soon = now + later + JITTER_S * share(book.uid, peer.uid, peer.attempts)
        book.asks.hasten(peer.uid, max(soon, peer.next_ask))

    def known(self, peer: KnownPeer, now: float) -> None:
        """An idle peer told who it is: tell it who we are, unless that was just done."""
        book = self._book
        if peer.told != book.version or now >= peer.asked_at + CALM_S:
            book.asks.hasten(peer.uid, now)

    def accept(self, peer: KnownPeer, cas: str, now: float) -> None:
        """The peer wants a link: it gets one, unless we asked just now and ours is the one to keep."""
        book = self._book
        peer.request, peer.is_resting = cas, False
        keeps_ours = book.uid > peer.uid and now < peer.asked_at + COLLISION_S
        book.asks.put(peer.uid, peer.asked_at + COLLISION_S if keeps_ours and not peer.is_wanted else now)

    def want(self, peer: KnownPeer, now: float) -> None:
        """A packet for a peer without a link."""
        peer.is_resting = False
        if not self._book.settings.on_demand:
            self.plan(peer, now)
        elif now >= peer.next_ask and not peer.is_wanted:
            peer.is_wanted = True
            self._book.asks.put(peer.uid, -math.inf)

    def failed(self, peer: KnownPeer, now: float) -> None:
        """An attempt came to nothing, or may still: the next one is later."""
        peer.attempts += 1
        peer.next_ask = now + back_off(self._book.uid, peer.uid, peer.attempts, first_s=FIRST_RETRY_S)

    def rest(self, peer: KnownPeer, now: float) -> None:
        """Nothing to do for this one, but to say now and then that we are there."""
        spread = 0.75 + share(self._book.uid, peer.uid, 0) / 2
        self._book.asks.put(peer.uid, now + REANNOUNCE_S * spread)

    def _step(self, peer: KnownPeer, now: float) -> None:
        if peer.has_link:
            if peer.told != self._book.version:
                self._book.announce(peer, ANNOUNCE)
        elif peer.request is not None:
            self.create_connection(peer, peer.fingerprint, peer.request, now)
        elif peer.is_wanted:
            self._start(peer, now)
        elif peer.is_present and not peer.is_resting:
            self._ask(peer, now)

    def _start(self, peer: KnownPeer, now: float) -> None:
        """Make an on-demand link. A peer that never told its fingerprint does that in its answer."""
        peer.is_wanted = False
        self._book.announce(peer, "send_msg")
        if peer.fingerprint:
            self.create_connection(peer, peer.fingerprint, "", now)
        else:
            peer.asked_at = now
            self.failed(peer, now)
            self.rest(peer, now)

    def _ask(self, peer: KnownPeer, now: float) -> None:
        self._book.announce(peer, "con_req")
        peer.asked_at = now
        if self._book.settings.on_demand:
            self.rest(peer, now)
        else:
            self.failed(peer, now)
            self._book.asks.put(peer.uid, peer.next_ask)
