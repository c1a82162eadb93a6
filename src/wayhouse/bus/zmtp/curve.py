"""The mechanism CURVE of ZMTP 3 (ZeroMQ RFC 26), the server's side: keys instead of passwords, all that follows is sealed.

Called by the session when the bus has a secret key. Rules: deny by default; a nonce is used once, by us and by the peer; keys of a
connection are in no message. The cookie is random and compared, since a connection keeps its state anyway.
"""

from __future__ import annotations

import hmac

from nacl import bindings as nacl
from nacl.exceptions import CryptoError

from wayhouse.bus.model import MalformedError
from wayhouse.bus.zmtp import commands
from wayhouse.bus.zmtp.commands import COMMAND, MORE, build
from wayhouse.bus.zmtp.mechanisms import Credentials, RefusedError, ours

VERSION = b"\1\0"
HELLO_SIZE, COOKIE_SIZE, KEY_SIZE, VOUCH_SIZE = 194, 96, 32, 96
_MESSAGE = build(commands.MESSAGE)
_COMMAND_INSIDE = 2
"""The flag of a command in a box, which libzmq has not where it has it in a frame."""


class Curve:
    """`secret_key` is the server's, 32 bytes."""

    name, as_server = b"CURVE", True

    def __init__(self, kind: bytes, credentials: Credentials, secret_key: bytes) -> None:
        self._kind = kind
        self.properties: dict[bytes, bytes] | None = None
        self.wrapping: CurveWrapping | None = None
        self.key = b""
        self._credentials = credentials
        self._secret_key = secret_key
        self._peer_key = self._session = self._cookie = b""
        self._own_key, self._own_secret = nacl.crypto_box_keypair()
        self._nonce = 0

    def begin(self) -> bytes:
        return b""

    def receive(self, command: bytes) -> bytes:
        name, data = commands.parse(command)
        try:
            if name == commands.HELLO and not self._cookie:
                return self._hello(data)
            if name == commands.INITIATE and self._cookie and self.wrapping is None:
                return self._initiate(data)
        except CryptoError:
            raise RefusedError("its keys do not fit", b"") from None
        raise MalformedError("HELLO, then INITIATE are expected here.")

    def _hello(self, data: bytes) -> bytes:
        """[version 2][zeros 72][C' 32][nonce 8][box 80] -> [nonce 16][box of (S', cookie)]."""
        if len(data) != HELLO_SIZE or data[:2] != VERSION:
            raise MalformedError("HELLO of CURVE 1.0 has 200 bytes.")
        self._peer_key, nonce, box = data[74:106], data[106:114], data[114:]
        between = nacl.crypto_box_beforenm(self._peer_key, self._secret_key)
        nacl.crypto_box_open_afternm(box, b"CurveZMQHELLO---" + nonce, between)
        self._nonce = int.from_bytes(nonce, "big")
        self._cookie = nacl.randombytes(COOKIE_SIZE)
        fresh = nacl.randombytes(16)
        sealed = nacl.crypto_box_afternm(self._own_key + self._cookie, b"WELCOME-" + fresh, between)
        return build(commands.WELCOME, fresh + sealed)

    def _initiate(self, data: bytes) -> bytes:
        """[cookie 96][nonce 8][box of (C 32, vouch 96, properties)] -> [nonce 8][box of our properties]."""
        cookie, nonce, box = data[:COOKIE_SIZE], data[96:104], data[104:]
        if not hmac.compare_digest(cookie, self._cookie) or int.from_bytes(nonce, "big") <= self._nonce:
            raise RefusedError("its cookie is not the one it was given")
        between = nacl.crypto_box_beforenm(self._peer_key, self._own_secret)
        inside = nacl.crypto_box_open_afternm(box, b"CurveZMQINITIATE" + nonce, between)
        if len(inside) < KEY_SIZE + VOUCH_SIZE:
            raise MalformedError("INITIATE has a key and what vouches for it.")
        key, vouch, rest = inside[:KEY_SIZE], inside[KEY_SIZE:128], inside[128:]
        self._vouched(key, vouch)
        if self._credentials.curve(key) is None:
            raise RefusedError("its key is not known", commands.build_error(commands.NOT_ALLOWED))
        properties = commands.parse_properties(rest)
        self.key, self.wrapping = key, CurveWrapping(between, int.from_bytes(nonce, "big"))
        self.properties = properties
        return build(commands.READY, self.wrapping.seal_ready(ours(self._kind)))

    def _vouched(self, key: bytes, vouch: bytes) -> None:
        """Raises `CryptoError`, and `RefusedError` when the key's owner vouches for another connection."""
        between = nacl.crypto_box_beforenm(key, self._own_secret)
        said = nacl.crypto_box_open_afternm(vouch[16:], b"VOUCH---" + vouch[:16], between)
        if said != self._peer_key + nacl.crypto_scalarmult_base(self._secret_key):
            raise RefusedError("its key vouches for another connection")


class CurveWrapping:
    """`between` is the secret of the two keys of this connection; `nonce` the last one of the peer."""

    def __init__(self, between: bytes, nonce: int) -> None:
        self._between = between
        self._theirs = nonce
        self._ours = 0

    def seal_ready(self, data: bytes) -> bytes:
        nonce = self._next()
        return nonce + nacl.crypto_box_afternm(data, b"CurveZMQREADY---" + nonce, self._between)

    def seal_command(self, body: bytes) -> bytes:
        return self._seal_one(body, _COMMAND_INSIDE)

    def seal(self, frames: list[bytes]) -> bytes:
        last = len(frames) - 1
        return b"".join(
            self._seal_one(frame, MORE if place < last else 0) for place, frame in enumerate(frames)
        )

    def open(self, body: bytes) -> tuple[int, bytes]:
        head, nonce = body[: len(_MESSAGE)], body[len(_MESSAGE) : len(_MESSAGE) + 8]
        number = int.from_bytes(nonce, "big")
        if head != _MESSAGE or number <= self._theirs:
            raise MalformedError("MESSAGE with a new nonce is expected here.")
        try:
            inside = nacl.crypto_box_open_afternm(
                body[len(_MESSAGE) + 8 :], b"CurveZMQMESSAGEC" + nonce, self._between
            )
        except (CryptoError, ValueError):
            raise MalformedError("This MESSAGE is not of this connection.") from None
        self._theirs = number
        if not inside:
            raise MalformedError("A MESSAGE has flags.")
        return inside[0] & MORE | (COMMAND if inside[0] & _COMMAND_INSIDE else 0), inside[1:]

    def _seal_one(self, frame: bytes, flags: int) -> bytes:
        nonce = self._next()
        box = nacl.crypto_box_afternm(bytes([flags]) + frame, b"CurveZMQMESSAGES" + nonce, self._between)
        return commands.frame(_MESSAGE + nonce + box, 0)

    def _next(self) -> bytes:
        self._ours += 1
        return self._ours.to_bytes(8, "big")
