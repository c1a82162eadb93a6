"""One peer: its keys, endpoint, timers, figures and the packets that wait for a key.

Made and moved by `device.py` and `handshakes.py`. Rule: it gives datagrams back and never sends; the oldest waiting packet makes room for
the newest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.ports import PeerFigures, PeerSetup
from wayhouse.overlay.wireguard.cookies import Envelope
from wayhouse.overlay.wireguard.keypair import Indices, Keypair, Keypairs
from wayhouse.overlay.wireguard.messages import KEY_SIZE, BadHandshakeError, nonce, padded
from wayhouse.overlay.wireguard.noise import NO_PSK, Identity, Initiation, SessionKeys
from wayhouse.overlay.wireguard.timers import Timers
from wayhouse.overlay.wireguard.timing import NEVER, Timing

MOST_STAGED = 128


class Peer:
    """Hashed and compared by identity."""

    __slots__ = (
        "_indices",
        "_timing",
        "dropped",
        "endpoint",
        "envelope",
        "initiation",
        "keys",
        "last_handshake",
        "last_initiated",
        "last_received",
        "latest_stamp",
        "psk",
        "public_key",
        "received_bytes",
        "received_packets",
        "roams",
        "scheduled",
        "sent_bytes",
        "sent_last_minute",
        "sent_packets",
        "staged",
        "static_shared",
        "timers",
    )

    def __init__(self, identity: Identity, public_key: bytes, indices: Indices, timing: Timing) -> None:
        """Raises `BadInputError` for a key that is none, and for the device's own."""
        if len(public_key) != KEY_SIZE or public_key == identity.public_key:
            raise BadInputError(
                "The public key of a peer has 32 bytes and is not this gateway's own; ask the peer for its key."
            )
        self.public_key = public_key
        try:
            self.static_shared = identity.shared(public_key)
        except BadHandshakeError:
            raise BadInputError(
                "The public key of the peer is a weak one; the peer must make another key."
            ) from None
        self._indices = indices
        self._timing = timing
        self.keys = Keypairs(indices, timing, wins=identity.public_key > public_key)
        self.timers = Timers(timing)
        self.envelope = Envelope(public_key)
        self.initiation: Initiation | None = None
        self.psk = NO_PSK
        self.endpoint: Hashable | None = None
        self.roams = True
        self.latest_stamp = b""
        self.last_initiated = -NEVER
        self.sent_last_minute = False
        self.staged: deque[bytes] = deque()
        self.scheduled = NEVER
        self.sent_bytes = self.sent_packets = self.received_bytes = self.received_packets = self.dropped = 0
        self.last_handshake: float | None = None
        self.last_received: float | None = None

    def __repr__(self) -> str:
        return f"Peer({self.public_key.hex()[:8]})"

    @property
    def current(self) -> Keypair | None:
        """What to send with, if `can_send`."""
        return self.keys.current

    def configure(self, setup: PeerSetup) -> None:
        """Raises `BadInputError`."""
        psk = setup.preshared_key or NO_PSK
        if len(psk) != KEY_SIZE:
            raise BadInputError("A preshared key has 32 bytes; make one with `wg genpsk`.")
        if not 0 <= setup.keepalive_s <= 65535:
            raise BadInputError("The keepalive is 0 (none) to 65535 seconds.", path="keepalive_s")
        self.psk = psk
        self.timers.persistent_s = float(setup.keepalive_s)

    def usable(self, now: float) -> Keypair | None:
        """The keypair to send with now."""
        current = self.keys.current
        return (
            current if current is not None and self.endpoint is not None and current.can_send(now) else None
        )

    # Sessions.

    def await_response(self, initiation: Initiation) -> None:
        self.drop_initiation()
        self.initiation = initiation
        self._indices.initiating[initiation.index] = self

    def drop_initiation(self) -> None:
        if self.initiation is not None:
            self._indices.initiating.pop(self.initiation.index, None)
            self.initiation = None

    def establish(self, keys: SessionKeys, index: int, now: float, *, is_initiator: bool) -> None:
        """New keys; the peer has them only `is_initiator`."""
        life_s = self._timing.reject_after_s
        keypair = Keypair(self, keys, index, is_initiator=is_initiator, now=now, life_s=life_s)
        if is_initiator:
            self.keys.initiated(keypair, now)
            self.complete(now)
        else:
            self.keys.responded(keypair, now)
        self.timers.derived(now)

    def complete(self, now: float) -> None:
        """Both sides have the keys."""
        self.drop_initiation()
        self.timers.completed()
        self.sent_last_minute = False
        self.last_handshake = now

    def erase(self) -> None:
        self.keys.erase()
        self.drop_initiation()

    # Packets.

    def stage(self, packet: bytes) -> None:
        """Keep it until there is a key."""
        if len(self.staged) >= MOST_STAGED:
            self.staged.popleft()
            self.dropped += 1
        self.staged.append(packet)

    def drop_staged(self) -> None:
        self.dropped += len(self.staged)
        self.staged.clear()

    def seal(self, keypair: Keypair, packet: bytes) -> bytes:
        """One data message; an empty packet makes a keepalive."""
        counter = keypair.send_counter
        keypair.send_counter = counter + 1
        sealed = keypair.send_cipher.encrypt(nonce(counter), padded(packet), None)
        return keypair.header + counter.to_bytes(8, "little") + sealed

    def needs_new_keys(self, now: float) -> bool:
        """Asked after sending: an initiator renews its keys when they are old, and either side when they were used too often."""
        current = self.keys.current
        if current is None:
            return False
        if current.send_counter > self._timing.rekey_after_messages:
            return True
        return current.is_initiator and now - current.created >= self._timing.rekey_after_s

    def needs_last_minute_keys(self, now: float) -> bool:
        """Asked after receiving: an initiator that does not send renews its keys before they end. True once a session."""
        current = self.keys.current
        if self.sent_last_minute or current is None or not current.is_initiator:
            return False
        self.sent_last_minute = now - current.created >= self._timing.last_minute_s
        return self.sent_last_minute

    def figures(self) -> PeerFigures:
        return PeerFigures(
            sent_bytes=self.sent_bytes,
            received_bytes=self.received_bytes,
            sent_packets=self.sent_packets,
            received_packets=self.received_packets,
            last_handshake=self.last_handshake,
            last_received=self.last_received,
            dropped=self.dropped,
        )
