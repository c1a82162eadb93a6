"""Whom a node believes that speaks as old ones do: who has the certificate whose fingerprint signalling told, and the first one for good.

Made by whoever starts such a node. Rules: there is no proof in what an old peer sends, so the server that introduces it could put in another at the first
meeting, never later; nodes of today are refused here, as they are safer without this; in the clear only where that was allowed.
"""

from __future__ import annotations

from wayhouse.base.clock import Clock
from wayhouse.overlay import binding
from wayhouse.overlay.binding import Told
from wayhouse.overlay.identity import Identity
from wayhouse.overlay.legacy import peer_key
from wayhouse.overlay.model import BadBindingError
from wayhouse.overlay.tincan import is_fingerprint
from wayhouse.overlay.trust import Pins, Trust, Verified

DTLS, CLEAR = "dtls", "none"
OLD_PINS_FILE = "known-old-peers.json"
_NO_CERTIFICATE = ":".join(["00"] * 20)
"""What a tincan says that has none yet."""


class OldTrust(Trust):
    """`allows_clear`: a controller may ask for links without encryption."""

    def __init__(self, pins: Pins, clock: Clock, *, allows_clear: bool = False) -> None:
        super().__init__(pins, clock)
        self._allows_clear = allows_clear

    def token(self, identity: Identity, told: Told | None = None, *, cas: str = "") -> str:
        """None: old peers do not know it."""
        return ""

    def check(self, cas: str, own_uid: str, uid: str, fingerprint: str) -> Verified:
        """Raises `BadBindingError`. What is believed here is proved by the handshake, or never in the clear."""
        if binding.find(cas) is not None:
            raise BadBindingError(
                "The peer is a node of today, and this one speaks as old nodes do (--legacy). Switch it off here, or on there.",
                uid=uid,
            )
        if fingerprint == peer_key.IN_THE_CLEAR:
            self._check_clear(uid)
        elif not is_fingerprint(fingerprint) or fingerprint == _NO_CERTIFICATE:
            raise BadBindingError("The peer told no fingerprint of its certificate.", uid=uid)
        verified = Verified(
            uid=uid,
            tunnel_key=peer_key.encode(uid, fingerprint),
            certificate_hash=fingerprint,
            security=DTLS if fingerprint else CLEAR,
        )
        if fingerprint:
            self.recognize(uid, fingerprint)
        return verified

    def keep(self, peer: Verified) -> None:
        """A link in the clear has proved nothing."""
        if peer.security != CLEAR:
            super().keep(peer)

    def _check_clear(self, uid: str) -> None:
        if not self._allows_clear:
            raise BadBindingError(
                "A link without encryption was asked for (`sec` is false); this node makes none unless it is started with --in-the-clear.",
                uid=uid,
            )
