"""What follows from authentic traffic with a peer: endpoints learned, keys confirmed and renewed, timers set, waiting packets sent.

Shared by `handshakes.py` and `device.py`. Rule: everything that is to be sent goes to `out`, everything that happened to `told`, and every
peer whose timers moved is scheduled anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

import msgspec

from wayhouse.overlay.wireguard.keypair import Keypair
from wayhouse.overlay.wireguard.peer import Peer
from wayhouse.overlay.wireguard.schedule import Schedule

MOST_EVENTS = 10_000


class Established(msgspec.Struct, frozen=True):
    """A handshake was completed: both sides have new keys."""

    public_key: bytes


class Silent(msgspec.Struct, frozen=True):
    """No authentic answer to what was sent, for `Timing.silence_s`; `gave_up`: not to a whole series of initiations either."""

    public_key: bytes
    gave_up: bool = False


class Answering(msgspec.Struct, frozen=True):
    """Something authentic came from a peer that was silent."""

    public_key: bytes


Event = Established | Silent | Answering


class Traffic:
    """The bookkeeping of one device."""

    def __init__(self) -> None:
        self.schedule = Schedule()
        self.out: list[tuple[Hashable, bytes]] = []
        self.told: deque[Event] = deque(maxlen=MOST_EVENTS)

    def send(self, peer: Peer, datagram: bytes) -> None:
        if peer.endpoint is not None:
            self.out.append((peer.endpoint, datagram))

    # Authentic traffic.

    def sent(self, peer: Peer, packets: int, size: int, now: float) -> None:
        """A batch of data messages; `packets` is 0 for a keepalive."""
        if packets:
            peer.sent_packets += packets
            peer.sent_bytes += size
            peer.timers.data_sent(now)
        else:
            peer.timers.sent(now)
        if peer.needs_new_keys(now):
            peer.timers.want_handshake(now)
        self.schedule.update(peer)

    def heard(self, peer: Peer, endpoint: Hashable, now: float) -> None:
        """Something authentic came from there."""
        if peer.roams and endpoint is not peer.endpoint and endpoint != peer.endpoint:
            peer.endpoint = endpoint
        peer.last_received = now
        if peer.timers.received(now):
            self.told.append(Answering(peer.public_key))

    def received(
        self, keypair: Keypair, endpoint: Hashable, packets: int, size: int, now: float, *, is_data: bool
    ) -> None:
        """A batch of data messages that were authentic and new."""
        peer = keypair.peer
        self.heard(peer, endpoint, now)
        if peer.keys.confirm(keypair, now):
            peer.complete(now)
            self.completed(peer, now)
        if is_data:
            peer.received_packets += packets
            peer.received_bytes += size
            peer.timers.data_received(now)
        if peer.needs_last_minute_keys(now):
            peer.timers.want_handshake(now)
        self.schedule.update(peer)

    # What is sent because of it.

    def completed(self, peer: Peer, now: float) -> None:
        """Both sides have the keys now."""
        self.told.append(Established(peer.public_key))
        self.flush(peer, now)

    def flush(self, peer: Peer, now: float) -> bool:
        """Send what waits. Whether anything did."""
        keypair = peer.usable(now)
        if keypair is None or not peer.staged:
            return False
        size = sum(map(len, peer.staged))
        for packet in peer.staged:
            self.send(peer, peer.seal(keypair, packet))
        count = len(peer.staged)
        peer.staged.clear()
        self.sent(peer, count, size, now)
        return True

    def keep_alive(self, peer: Peer, now: float) -> None:
        """Show the peer that we are here: with what waits, or an empty message, or by a handshake if there is no key."""
        keypair = peer.usable(now)
        if keypair is None:
            self.want_handshake(peer, now)
        elif not self.flush(peer, now):
            self.send(peer, peer.seal(keypair, b""))
            self.sent(peer, 0, 0, now)

    def want_handshake(self, peer: Peer, now: float) -> None:
        if peer.endpoint is not None:
            peer.timers.want_handshake(now)
            self.schedule.update(peer)
