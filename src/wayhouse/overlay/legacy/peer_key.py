"""What an old peer is known by in the tunnel: its uid and the digest of its certificate, or its uid alone when its link is in the clear. Pure.

Made by `old_trust.py`, read by `drivers/tap_tunnel.py`: it stands where a peer of today has its tunnel key (`ports.PeerSetup.public_key`).
"""

from __future__ import annotations

import msgspec

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.identity import Digest
from wayhouse.overlay.legacy.frames import UID_BYTES
from wayhouse.overlay.model import is_uid
from wayhouse.overlay.tincan import is_fingerprint

IN_THE_CLEAR = ""
"""Stands for the fingerprint of a peer whose link is to be without encryption (`sec` false in `create_link`)."""
_DIGESTS = {20: Digest.SHA1, 32: Digest.SHA256}


class PeerKey(msgspec.Struct, frozen=True):
    """`digest` is None for a link in the clear."""

    uid: bytes
    digest: Digest | None = None
    value: bytes = b""


def encode(uid: str, fingerprint: str) -> bytes:
    """Raises `BadInputError`."""
    if not is_uid(uid) or (fingerprint != IN_THE_CLEAR and not is_fingerprint(fingerprint)):
        raise BadInputError("A peer has a uid of 40 hex digits and a fingerprint of 59 or 95 characters.")
    return bytes.fromhex(uid) + bytes.fromhex(fingerprint.replace(":", ""))


def decode(key: bytes) -> PeerKey:
    """Raises `BadInputError`."""
    uid, value = key[:UID_BYTES], key[UID_BYTES:]
    if len(uid) != UID_BYTES or (value and len(value) not in _DIGESTS):
        raise BadInputError("This is no key of an old peer.")
    return PeerKey(uid, _DIGESTS.get(len(value)), value)
