"""What a node makes of what signalling tells: who is there, what peers say, lists of revocations. Used by `node.py`.

Rule: signalling may carry any lie, so all that it changes here is what is known of being present; whatever it says is told to controllers, which decide.
"""

from __future__ import annotations

import logging
from typing import Protocol

from wayhouse.base.errors import WayhouseError
from wayhouse.overlay.model import Heard, PeerGone, PeerSeen, SignalDown, SignalEvent, SignalUp, is_uid
from wayhouse.overlay.notifications import XMPP_FAILED, ErrorTold, Message, Notification
from wayhouse.overlay.pace import Bucket
from wayhouse.overlay.peer import Peer
from wayhouse.overlay.peers import Peers
from wayhouse.overlay.revocation_spread import LIST, RevocationSpread
from wayhouse.overlay.signalling import Signalling
from wayhouse.overlay.tincan import MOST_DATA, is_fingerprint
from wayhouse.overlay.wishes import Fact

log = logging.getLogger(__name__)

MODERN = "wh1"
"""Stands after the fingerprint in what a node tells everybody: it takes addresses as they are found."""
COMPLAINTS_PER_S, MOST_COMPLAINTS = 0.2, 20


class Listener(Protocol):
    """The node, as this needs it."""

    peers: Peers
    introduces: bool
    signalling: Signalling
    spread: RevocationSpread

    @property
    def uid(self) -> str: ...

    def now(self) -> float: ...

    def tell(self, fact: Fact) -> None: ...

    def notify(self, told: Notification) -> None: ...

    def look_at_members(self) -> None: ...


class Hearing:
    def __init__(self, node: Listener) -> None:
        self._node = node
        self._complaints = Bucket(COMPLAINTS_PER_S, MOST_COMPLAINTS)

    def hear(self, event: SignalEvent) -> None:
        """Never raises what a message could bring about."""
        try:
            self._hear(event)
        except WayhouseError as error:
            self.complain(f"what signalling told was passed over: {error}")

    def complain(self, text: str) -> None:
        """Others decide how often: so not each time."""
        if self._complaints.take(self._node.now()):
            log.warning("%s", text)

    def _hear(self, event: SignalEvent) -> None:
        if isinstance(event, SignalUp | SignalDown):
            self._node.signalling.note(event)
            if isinstance(event, SignalDown):
                self._node.notify(ErrorTold(uid="", data=XMPP_FAILED, why=event.reason))
            self._node.tell(event)
        elif is_uid(event.uid) and event.uid != self._node.uid:
            self._hear_peer(event)

    def _hear_peer(self, event: PeerSeen | PeerGone | Heard) -> None:
        if isinstance(event, PeerGone):
            if (known := self._node.peers.get(event.uid)) is not None and known.via == event.via:
                known.is_present = False
            self._node.tell(event)
            return
        peer = self._node.peers.meet(event.uid)
        peer.via = event.via
        if isinstance(event, PeerSeen):
            self._see(peer, event)
        elif event.kind == LIST:
            if self._node.spread.hear(event.uid, event.data, tuple(self._node.peers)):
                self._node.look_at_members()
        elif len(event.data) <= MOST_DATA:
            if event.kind == "con_req":
                peer.asked()
            self._node.notify(Message(event.kind, event.uid, event.data))
            self._node.tell(event)

    def _see(self, peer: Peer, event: PeerSeen) -> None:
        fingerprint, *words = event.status.split()[:8] or [""]
        peer.seen_at, peer.is_present = self._node.now(), True
        peer.link.is_modern = peer.link.is_modern or MODERN in words
        if is_fingerprint(fingerprint):
            peer.told_fingerprint = fingerprint
            if self._node.introduces:
                self._node.notify(Message("con_req", peer.uid, fingerprint))
        self._node.tell(PeerSeen(peer.uid, fingerprint, event.via))
