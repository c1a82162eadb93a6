"""Who may connect: the mechanisms PLAIN and CURVE of ZMTP, for our own ROUTER and for libzmq's sockets, whose handler this is (ZeroMQ RFC
27, ZAP).

Called by `server` and the drivers. Rules: deny by default; the handler is made before anything with security is bound
(without one libzmq would let everybody in); secrets are compared in constant time and appear in no message.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import msgspec
import zmq
from zmq.utils import z85

from wayhouse.access.known_peers import KnownPeers
from wayhouse.bus.model import Frames, MalformedError
from wayhouse.bus.zmtp.mechanisms import Credentials, Mechanism, Null, Plain

ENDPOINT = "inproc://zeromq.zap.01"
DOMAIN = b"wayhouse"
VERSION = b"1.0"
BATCH = 64
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

    def door(self, credentials: Credentials | None) -> Callable[[], Mechanism]:
        """What makes the mechanism of a new connection; without credentials nobody is let in that has to show some."""
        if self.mechanism == "none":
            return Null
        known = credentials or KnownCredentials()
        if self.mechanism == "plain":
            return lambda: Plain(known)
        from wayhouse.bus.zmtp.curve import Curve  # here: libsodium is loaded by those who need it

        secret_key = z85.decode(self.secret_key)
        return lambda: Curve(known, secret_key)

    def apply(self, target: zmq.Socket[bytes]) -> None:
        """For what `target` binds from here on. What shall have none is to be bound first: libzmq cannot take the domain back,
        and the handler refuses peers without a mechanism."""
        if self.mechanism == "none":
            target.setsockopt(
                zmq.PLAIN_SERVER, 0
            )  # each of the two sets or clears the one mechanism there is
            return
        if self.mechanism == "curve":
            target.setsockopt(zmq.CURVE_SERVER, 1)
            target.setsockopt(zmq.CURVE_SECRETKEY, self.secret_key)
        else:
            target.setsockopt(zmq.PLAIN_SERVER, 1)
        target.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)


class ZapHandler:
    """Answers libzmq's question about each new connection; polled with the other sockets."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], credentials: Credentials) -> None:
        self._credentials = credentials
        self._socket: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(ENDPOINT)

    def sockets(self) -> list[zmq.Socket[bytes]]:
        return [self._socket]

    def readable(self, source: zmq.Socket[bytes], now: float) -> None:
        for _ in range(BATCH):
            try:
                frames = source.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            source.send_multipart(answer(frames, self._credentials))

    def tick(self, now: float) -> None:
        """Nothing is due here, ever."""

    def deadline(self) -> float | None:
        return None

    def close(self, now: float) -> None:
        self._socket.close()


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode()).digest()


def answer(frames: Frames, credentials: Credentials) -> Frames:
    """The reply to a ZAP request, with the envelope of both: [identity][][version][request][status][text][user][metadata]."""
    envelope, request = frames[:2], frames[2:]
    number = request[1] if len(request) > 1 else b""
    try:
        user = _user(request, credentials)
    except (MalformedError, UnicodeDecodeError):
        user = None
    status, text = (b"200", b"OK") if user is not None else (b"400", b"not allowed")
    return [*envelope, VERSION, number, status, text, (user or "").encode(), b""]


def _user(request: Frames, credentials: Credentials) -> str | None:
    """Who sent [version][request][domain][address][identity][mechanism][credentials...]; None for nobody that is known."""
    if len(request) < 6 or request[0] != VERSION or request[2] != DOMAIN:
        raise MalformedError("This is not a request of ZAP 1.0 for this domain.")
    mechanism, given = request[5], request[6:]
    if mechanism == b"PLAIN" and len(given) == 2:
        return credentials.plain(given[0].decode(), given[1].decode())
    if mechanism == b"CURVE" and len(given) == 1:
        return credentials.curve(given[0])
    return None
