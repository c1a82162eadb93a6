"""Who is linked to whom, and when: the controller of SocialVPN and GroupVPN as a machine.

Driven by `node.py` (facts in, wishes out, see `wishes.py`); `social.py` and `group.py` make one with its addresses; `seeking.py` and `keeping.py` hold
the rules of peers without and with a link. What makes a message costs a token, 2 a second and 40 at once by default: at most 160 a minute, each at most
one message of the controller and one `con_resp` of the link, so 320 messages a node and minute however many peers there are; the end of an idle
link is one more, once in its idle timeout. A hostile message changes nothing but the state of its own sender.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from wayhouse.overlay import announcement
from wayhouse.overlay.destination import destination
from wayhouse.overlay.keeping import DESTROY, Keeping
from wayhouse.overlay.known_peer import KnownPeer
from wayhouse.overlay.model import Heard, PeerGone, PeerSeen, SignalDown, SignalUp
from wayhouse.overlay.pace import share
from wayhouse.overlay.peer_book import Addresses, PeerBook, Settings
from wayhouse.overlay.seeking import CALM_S, JITTER_S, Seeking
from wayhouse.overlay.tincan import TrimLink
from wayhouse.overlay.wishes import (
    ANNOUNCE,
    Allowed,
    Claimed,
    Fact,
    Forgotten,
    LinkChanged,
    LinkGone,
    NetworkChanged,
    News,
    Own,
    Refused,
    Traffic,
    Unroutable,
    Wish,
)

_KINDS = frozenset({"con_req", "con_resp", "send_msg", ANNOUNCE})


class Controller:
    def __init__(
        self,
        uid: str,
        own: Own,
        addresses: Addresses,
        settings: Settings | None = None,
        *,
        reads_words: bool = True,
    ) -> None:
        """`reads_words`: believe the address that peers tell beside their fingerprint; without, it only says whom to wake
        for a packet (on-demand links), and what is used is `Claimed`."""
        self.addresses = addresses
        self.ignored = 0
        """Messages that could not be understood."""
        self._reads_words = reads_words
        self._book = PeerBook(uid, own, addresses, settings or Settings())
        self._seeking = Seeking(self._book)
        self._keeping = Keeping(self._book, self._seeking)
        self._facts: dict[type[Any], Callable[[Any, float], None]] = {
            PeerSeen: self._seen,
            PeerGone: self._gone,
            SignalUp: self._signal_up,
            SignalDown: self._signal_down,
            Heard: self._heard,
            Own: self._is_now,
            LinkChanged: self._link_changed,
            LinkGone: self._link_gone,
            Traffic: self._traffic,
            Unroutable: self._unroutable,
            Claimed: self._claimed,
            Refused: self._refuse,
            Allowed: self._allow,
            Forgotten: self._forget,
            NetworkChanged: self._network_changed,
        }

    def receive(self, fact: Fact, now: float) -> None:
        self._facts[type(fact)](fact, now)
        self._seeking.run(now)

    def tick(self, now: float) -> None:
        self.trim_connections(now)
        self._seeking.run(now)

    def deadline(self) -> float:
        """When `tick` is wanted; infinity if nothing is to come."""
        return self._book.deadline()

    def outbox(self) -> list[Wish]:
        wishes, self._book.outbox = self._book.outbox, []
        return wishes

    def events(self) -> list[News]:
        news, self._book.events = self._book.events, []
        return news

    def peers(self) -> Iterator[KnownPeer]:
        """For reading only."""
        return iter(self._book.peers.values())

    def create_connection(self, uid: str, fingerprint: str, cas: str, now: float) -> None:
        """Make a link because people want it, or give an existing one the peer's candidates. A uid that cannot be a peer's is passed over."""
        peer = self._book.meet(uid, now)
        if peer is not None and uid not in self._book.refused:
            self._seeking.create_connection(peer, fingerprint, cas, now)

    def trim_connections(self, now: float) -> None:
        """Take away links that are offline, that never came up or that are idle."""
        self._keeping.trim_connections(now)

    # What signalling tells

    def _seen(self, fact: PeerSeen, now: float) -> None:
        before = self._book.peers.get(fact.uid)
        away_s = 0.0 if before is None or before.is_present else now - before.seen
        peer = self._book.meet(fact.uid, now)
        if peer is None:
            return
        is_other = peer.vias.get(fact.via, fact.status) != fact.status
        is_new = not peer.is_present
        peer.vias[fact.via] = fact.status
        if is_other or away_s >= CALM_S:
            peer.start_afresh()
        if is_other or is_new:
            self._seeking.plan(peer, now)

    def _gone(self, fact: PeerGone, now: float) -> None:
        """A link stays: it needs no signalling."""
        peer = self._book.peers.get(fact.uid)
        if peer is not None and peer.vias.pop(fact.via, None) is not None:
            peer.seen = now
            if not peer.is_present and not peer.has_link and peer.request is None:
                self._book.asks.drop(peer.uid)

    def _signal_up(self, fact: SignalUp, now: float) -> None:
        """Peers are told one by one after it."""

    def _signal_down(self, fact: SignalDown, now: float) -> None:
        for uid in [peer.uid for peer in self._book.peers.values() if fact.via in peer.vias]:
            self._gone(PeerGone(uid, fact.via), now)

    def _heard(self, fact: Heard, now: float) -> None:
        if fact.uid in self._book.refused:
            return
        if fact.kind == "send_msg" and fact.data.startswith(DESTROY):
            known = self._book.peers.get(fact.uid)
            if known is not None and known.has_link:
                self._keeping.destroyed(known, now)
            return
        told = announcement.split(fact.data) if fact.kind in _KINDS else None
        peer = self._book.meet(fact.uid, now) if told is not None else None
        if told is None or peer is None:
            self.ignored += 1
            return
        if ip4 := announcement.told_address(told[1]):
            self._read_address(fact.uid, ip4, now)
        self._told(peer, fact.kind, told, now)

    def _read_address(self, uid: str, ip4: str, now: float) -> None:
        if self._reads_words:
            self._book.apply(self.addresses.claim(uid, ip4), now)
        else:
            self.addresses.hint(uid, ip4)

    def _told(self, peer: KnownPeer, kind: str, told: tuple[str, str], now: float) -> None:
        fingerprint, cas = told
        if kind == "con_resp" and self._is_answer(peer, fingerprint, now):
            self._seeking.create_connection(peer, fingerprint, cas, now)
        elif peer.has_link:
            if kind != ANNOUNCE:
                self._keeping.asked_again(peer, fingerprint, cas, now)
        else:
            peer.fingerprint = fingerprint
            if kind == "con_req" and self._book.settings.on_demand:
                self._seeking.known(peer, now)
            elif kind != ANNOUNCE:
                self._seeking.accept(peer, cas, now)

    def _is_answer(self, peer: KnownPeer, fingerprint: str, now: float) -> bool:
        """Candidates for a link that is there, or to what we asked: the token for it was paid."""
        if peer.has_link:
            return fingerprint == peer.fingerprint
        return now < peer.asked_at + 4 * self._book.settings.wait_time_s

    # What the node tells

    def _is_now(self, fact: Own, now: float) -> None:
        """Another address or identity of ours: whoever knows us is told."""
        book = self._book
        if fact == book.own:
            return
        book.own = fact
        book.version += 1
        book.apply(self.addresses.claim(book.uid, fact.ip4), now)
        for peer in book.peers.values():
            if peer.has_link or (peer.is_present and book.settings.on_demand):
                book.asks.hasten(peer.uid, now + JITTER_S * share(book.uid, peer.uid, book.version))

    def _network_changed(self, fact: NetworkChanged, now: float) -> None:
        for peer in self._book.peers.values():
            peer.start_afresh()
            if not self._book.settings.on_demand:
                self._seeking.plan(peer, now)

    def _link_changed(self, fact: LinkChanged, now: float) -> None:
        if (peer := self._linked(fact.uid)) is not None:
            self._keeping.changed(peer, fact.status, now)

    def _link_gone(self, fact: LinkGone, now: float) -> None:
        if (peer := self._linked(fact.uid)) is not None:
            self._keeping.ended(peer, now)

    def _traffic(self, fact: Traffic, now: float) -> None:
        if (peer := self._linked(fact.uid)) is not None:
            self._keeping.moved(peer, (fact.sent, fact.received), now)

    def _linked(self, uid: str) -> KnownPeer | None:
        peer = self._book.peers.get(uid)
        return peer if peer is not None and peer.has_link else None

    def _unroutable(self, fact: Unroutable, now: float) -> None:
        address = destination(fact.packet)
        uid = self.addresses.owner_of(address) if address is not None else None
        peer = self._book.peers.get(uid or "")
        if peer is not None and not peer.has_link and peer.uid not in self._book.refused:
            self._seeking.want(peer, now)

    def _claimed(self, fact: Claimed, now: float) -> None:
        if fact.uid in self._book.peers:
            self._book.apply(self.addresses.claim(fact.uid, fact.ip4), now)

    # What people decide

    def _refuse(self, fact: Refused, now: float) -> None:
        self._book.refused.add(fact.uid)
        peer = self._book.peers.get(fact.uid)
        if peer is not None:
            peer.request, peer.is_wanted = None, False
            if peer.has_link:
                self._keeping.trim(peer, now)
            self._book.asks.drop(fact.uid)

    def _allow(self, fact: Allowed, now: float) -> None:
        self._book.refused.discard(fact.uid)
        peer = self._book.peers.get(fact.uid)
        if peer is not None:
            peer.start_afresh()
            self._seeking.plan(peer, now)

    def _forget(self, fact: Forgotten, now: float) -> None:
        if self._linked(fact.uid) is not None:
            self._book.outbox.append(TrimLink(uid=fact.uid))
        self._book.drop(fact.uid)
        self._book.apply(self.addresses.forget(fact.uid), now)
