"""mac1, mac2 and cookies (whitepaper sections 5.4.4 and 5.4.7): a loaded responder first makes sure that a source is where it says it is.

Used by `device.py`: a `Guard` for what comes, an `Envelope` per peer for what goes. Rule: before mac1 is right nothing is answered, and
under load nothing expensive is done before mac2 is right too; a cookie is bound to the source and to a secret of two minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag

from wayhouse.overlay.wireguard.load import LoadMeter, RateLimiter
from wayhouse.overlay.wireguard.messages import COOKIE_REPLY, MACS_SIZE, BadHandshakeError, head, index_at
from wayhouse.overlay.wireguard.noise import blake2s
from wayhouse.overlay.wireguard.sources import Source
from wayhouse.overlay.wireguard.timing import NEVER
from wayhouse.overlay.wireguard.xchacha import xopen, xseal

MAC_SIZE = 16
COOKIE_LIFE_S = 120.0
COOKIE_LATENCY_S = 5.0
NONCE_SIZE = 24
_NO_MAC = bytes(MAC_SIZE)


def mac(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2s(data, key=key, digest_size=MAC_SIZE).digest()


def mac1_key(public_key: bytes) -> bytes:
    return blake2s(b"mac1----", public_key)


def cookie_key(public_key: bytes) -> bytes:
    return blake2s(b"cookie--", public_key)


class Envelope:
    """Puts the macs under messages to one peer, and takes its cookies."""

    __slots__ = ("_cookie", "_cookie_at", "_cookie_key", "_mac1", "_mac1_key")

    def __init__(self, public_key: bytes) -> None:
        self._mac1_key = mac1_key(public_key)
        self._cookie_key = cookie_key(public_key)
        self._mac1 = b""
        self._cookie = b""
        self._cookie_at = -NEVER

    def close(self, message: bytes, now: float) -> bytes:
        """With mac1, and with mac2 while there is a cookie."""
        self._mac1 = mac(self._mac1_key, message)
        message += self._mac1
        if self._cookie and now - self._cookie_at >= COOKIE_LIFE_S - COOKIE_LATENCY_S:
            self._cookie = b""
        return message + (mac(self._cookie, message) if self._cookie else _NO_MAC)

    def take_cookie(self, reply: bytes, now: float) -> None:
        """Raises `BadHandshakeError` if it is no answer to the last message."""
        if not self._mac1:
            raise BadHandshakeError("unexpected")
        try:
            self._cookie = xopen(self._cookie_key, reply[8:32], reply[32:64], self._mac1)
        except InvalidTag:
            raise BadHandshakeError("forged") from None
        self._cookie_at = now
        self._mac1 = b""


class Guard:
    """Lets initiations and responses in."""

    def __init__(self, public_key: bytes, load: LoadMeter, limiter: RateLimiter) -> None:
        self._mac1_key = mac1_key(public_key)
        self._cookie_key = cookie_key(public_key)
        self._load = load
        self._limiter = limiter
        self._secret = b""
        self._secret_at = -NEVER

    def admit(self, message: bytes, source: Source, now: float) -> bytes | None:
        """None: go on. Else the cookie reply to send instead. Raises `BadHandshakeError` for what gets no answer."""
        body, mac1 = message[:-MACS_SIZE], message[-MACS_SIZE:-MAC_SIZE]
        if not hmac.compare_digest(mac(self._mac1_key, body), mac1):
            raise BadHandshakeError("bad-mac1")
        if not self._load.is_under_load(now):
            return None
        cookie = self._cookie(source, now)
        if not hmac.compare_digest(mac(cookie, message[:-MAC_SIZE]), message[-MAC_SIZE:]):
            return self._reply(index_at(message, 4), cookie, mac1)
        if not self._limiter.allows(source.group, now):
            raise BadHandshakeError("rate-limited")
        return None

    def _cookie(self, source: Source, now: float) -> bytes:
        if now - self._secret_at >= COOKIE_LIFE_S:
            self._secret = secrets.token_bytes(32)
            self._secret_at = now
        return mac(self._secret, source.exact)

    def _reply(self, index: int, cookie: bytes, mac1: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_SIZE)
        return head(COOKIE_REPLY, index) + nonce + xseal(self._cookie_key, nonce, cookie, mac1)
