"""How a group's signed list of revocations gets around: with the first answer to a peer, and on to everybody when a newer one came.

Used by `node.py`. Rule: each list is sent to a peer once, and whoever sends an older one gets the newer one back, so all come to the newest and the
spreading ends.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import logging
from collections.abc import Callable, Iterable

import msgspec
import zstandard

from wayhouse.base.errors import WayhouseError
from wayhouse.overlay.model import BadBindingError
from wayhouse.overlay.tickets import Signed
from wayhouse.overlay.tincan import MOST_DATA
from wayhouse.overlay.trust import Trust

log = logging.getLogger(__name__)

LIST = "wayhouse-list"
"""The kind of the message."""
MOST_BYTES = 1024 * 1024


class RevocationSpread:
    def __init__(self, trust: Trust, send: Callable[[str, str, str], None]) -> None:
        self._trust = trust
        self._send = send
        self._told: dict[str, bytes] = {}
        """The signature of the list that a peer has from us, or gave us."""

    def share(self, uid: str) -> None:
        """Send the peer our list, unless it has it."""
        own = self._trust.revocations
        if own is None or self._told.get(uid) == own.signature:
            return
        text = encode(own)
        if len(text) > MOST_DATA:
            log.warning(
                "the list of revocations is too long to be sent to peers; begin the network anew, or revoke whole tickets"
            )
            return
        with contextlib.suppress(WayhouseError):  # the peer is not seen any more
            self._send(uid, LIST, text)
            self._told[uid] = own.signature

    def hear(self, uid: str, text: str, peers: Iterable[str]) -> bool:
        """Whether it is newer than ours; then all `peers` get it. Raises `BadBindingError`."""
        signed = decode(text)
        is_newer = self._trust.hear_revocations(signed)
        if (own := self._trust.revocations) is not None and own.signature == signed.signature:
            self._told[uid] = signed.signature
        for peer in peers if is_newer else (uid,):
            self.share(peer)
        return is_newer


def encode(signed: Signed) -> str:
    return base64.b64encode(zstandard.compress(msgspec.msgpack.encode(signed))).decode()


def decode(text: str) -> Signed:
    """Raises `BadBindingError`."""
    try:
        packed = base64.b64decode(text[: MOST_DATA + 1], validate=True)
        plain = (
            zstandard.ZstdDecompressor(max_window_size=2**21)
            .stream_reader(io.BytesIO(packed))
            .read(MOST_BYTES)
        )
        return msgspec.msgpack.decode(plain, type=Signed)
    except (binascii.Error, zstandard.ZstdError, ValueError, RecursionError) as error:
        raise BadBindingError("The list of revocations is damaged.") from error
