"""Handshakes with all peers of a device: initiations made and answered, responses and cookies taken.

Used by `device.py`. Rule: nothing that comes raises out of here or changes anything unless it is authentic and new; why something was
refused is counted by one word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from wayhouse.overlay.wireguard.cookies import Guard
from wayhouse.overlay.wireguard.keypair import Indices
from wayhouse.overlay.wireguard.messages import (
    COOKIE_REPLY,
    INITIATION,
    BadHandshakeError,
    handshake_type,
    index_at,
)
from wayhouse.overlay.wireguard.noise import Identity, Initiated, Initiation
from wayhouse.overlay.wireguard.peer import Peer
from wayhouse.overlay.wireguard.sources import source_of
from wayhouse.overlay.wireguard.tai64n import Stamps
from wayhouse.overlay.wireguard.traffic import Traffic

SHORTEST_INTERVAL_S = 0.02
"""Between two initiations of one peer; more often is a flood, even if it is the peer's own."""


class Handshakes:
    """`refused` counts by reason: malformed, bad-mac1, rate-limited, forged, weak-key, stranger, replayed, flood, unexpected, cookie."""

    def __init__(
        self,
        identity: Identity,
        peers: dict[bytes, Peer],
        indices: Indices,
        guard: Guard,
        stamps: Stamps,
        traffic: Traffic,
    ) -> None:
        self._identity = identity
        self._peers = peers
        self._indices = indices
        self._guard = guard
        self._stamps = stamps
        self._traffic = traffic
        self.refused: Counter[str] = Counter()

    def initiate(self, peer: Peer, now: float, wall: float) -> None:
        """Send an initiation; one that was sent before waits no more."""
        if peer.endpoint is None:
            peer.timers.stop_seeking()
            return
        index = self._indices.allocate()
        stamp = self._stamps.stamp(wall)
        initiation = Initiation(self._identity, peer.public_key, peer.static_shared, index, stamp)
        peer.await_response(initiation)
        peer.timers.initiated(now)
        self._traffic.send(peer, peer.envelope.close(initiation.message, now))

    def receive(self, datagram: bytes, endpoint: Hashable, now: float) -> None:
        """Any datagram that is not a data message."""
        try:
            kind = handshake_type(datagram)
            if kind == COOKIE_REPLY:
                self._take_cookie(datagram, now)
                return
            reply = self._guard.admit(datagram, source_of(endpoint), now)
            if reply is not None:
                self.refused["cookie"] += 1
                self._traffic.out.append((endpoint, reply))
            elif kind == INITIATION:
                self._respond(datagram, endpoint, now)
            else:
                self._finish(datagram, endpoint, now)
        except BadHandshakeError as error:
            self.refused[error.reason] += 1

    def _shared_with(self, public_key: bytes) -> bytes:
        peer = self._peers.get(public_key)
        if peer is None:
            raise BadHandshakeError("stranger")
        return peer.static_shared

    def _respond(self, message: bytes, endpoint: Hashable, now: float) -> None:
        initiated = Initiated(self._identity, message, self._shared_with)
        peer = self._peers[initiated.public_key]
        if initiated.stamp <= peer.latest_stamp:
            raise BadHandshakeError("replayed")
        if now - peer.last_initiated < SHORTEST_INTERVAL_S:
            raise BadHandshakeError("flood")
        index = self._indices.allocate()
        response, keys = initiated.respond(index, peer.psk)
        peer.latest_stamp = initiated.stamp
        peer.last_initiated = now
        self._traffic.heard(peer, endpoint, now)
        peer.establish(keys, index, now, is_initiator=False)
        self._traffic.out.append((endpoint, peer.envelope.close(response, now)))
        peer.timers.responded(now)
        self._traffic.schedule.update(peer)

    def _finish(self, message: bytes, endpoint: Hashable, now: float) -> None:
        peer = self._indices.initiating.get(index_at(message, 8))
        if peer is None or peer.initiation is None:
            raise BadHandshakeError("unexpected")
        initiation = peer.initiation
        keys = initiation.finish(message, peer.psk)
        self._traffic.heard(peer, endpoint, now)
        peer.establish(keys, initiation.index, now, is_initiator=True)
        self._traffic.completed(peer, now)
        current = peer.current
        if current is not None and not current.send_counter:
            # The responder may not send before it has heard the new keys in use.
            self._traffic.keep_alive(peer, now)
        self._traffic.schedule.update(peer)

    def _take_cookie(self, reply: bytes, now: float) -> None:
        index = index_at(reply, 4)
        keypair = self._indices.by_index.get(index)
        peer = keypair.peer if keypair is not None else self._indices.initiating.get(index)
        if peer is None:
            raise BadHandshakeError("unexpected")
        peer.envelope.take_cookie(reply, now)
