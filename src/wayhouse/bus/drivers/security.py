"""Who may connect over TCP: the mechanism that peers are asked for, and the credentials that are known.

Called by `server` and the drivers. Rules: deny by default; secrets are compared in constant time and appear in no message.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import msgspec
from zmq.utils import z85

from wayhouse.access.known_peers import KnownPeers
from wayhouse.bus.zmtp.mechanisms import Credentials, Mechanism, Null, Plain

NOBODY = KnownPeers()


class KnownCredentials:
    """Those of a file."""

    def __init__(self, peers: KnownPeers = NOBODY) -> None:
        self._plain = {user: _digest(password) for user, password in peers.plain.items()}
        self._plain |= {user: bytes.fromhex(digest) for user, digest in peers.plain_sha256.items()}
        self._curve = {z85.decode(key): name for key, name in peers.curve.items()}

    def plain(self, user: str, password: str) -> str | None:
        known = self._plain.get(user)
        fits = hmac.compare_digest(known if known is not None else b"", _digest(password))
        return user if fits and known is not None else None

    def curve(self, key: bytes) -> str | None:
        return self._curve.get(key)


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """How peers show who they are: `none`, `plain`, or `curve` with the server's secret key (Z85 text)."""

    mechanism: str = "none"
    secret_key: bytes = b""

    def __post_init__(self) -> None:
        if self.mechanism not in {"none", "plain", "curve"}:
            raise ValueError("a mechanism is none, plain or curve")
        if self.mechanism == "curve" and len(self.secret_key) != 40:
            raise ValueError("curve needs the server's secret key, 40 characters of Z85")

    def __repr__(self) -> str:
        return f"Security(mechanism={self.mechanism!r})"

    def door(self, credentials: Credentials | None) -> Callable[[bytes], Mechanism]:
        """What makes the mechanism of a new connection to a socket of that kind; without credentials nobody is let in that has to show some."""
        if self.mechanism == "none":
            return Null
        known = credentials or KnownCredentials()
        if self.mechanism == "plain":
            return lambda kind: Plain(kind, known)
        from wayhouse.bus.zmtp.curve import Curve  # here: libsodium is loaded by those who need it

        secret_key = z85.decode(self.secret_key)
        return lambda kind: Curve(kind, known, secret_key)


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode()).digest()
