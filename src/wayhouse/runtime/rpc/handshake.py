"""The handshake: a challenge, a digest of it, a verdict; and how two that know wire v1 find each other in it.

Called by `wire.py`, and by whoever speaks the wire by hand. Wire v0: the server sends `#CHALLENGE#` and 20 bytes, the client
answers with HMAC-MD5 of the 20 bytes, the server with `{"authenticated": bool}`. A server that knows v1 marks its salt (the
last 8 bytes follow from the first 12), which nobody else notices; only then a client answers with a v1 hello.
Rule: digests are compared in constant time, and every key is tried.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable

import msgspec

from wayhouse.runtime.exceptions import AuthError

CHALLENGE = b"#CHALLENGE#"
HELLO = b"#WAYHOUSE#"
SALT_SIZE = 20
_RANDOM_SIZE = 12
_MARK = b"wayhouse wire 1"


class Hello(msgspec.Struct, frozen=True):
    """A v1 client's answer to the challenge; `nonce` is 16 random bytes and `digest` HMAC-SHA256, both in hexadecimal.
    `fds`: it wants to pass descriptors."""

    wire: int
    nonce: str
    digest: str
    fds: bool = False


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """The server's answer. `proof` shows a v1 client that the server knows the key too; `limit` is its largest frame."""

    authenticated: bool
    wire: int = 0
    proof: str = ""
    limit: int = 0
    account: str = ""


_hello = msgspec.json.Decoder(Hello).decode
_verdict = msgspec.json.Decoder(Verdict).decode
encode = msgspec.json.Encoder().encode


def make_salt(*, wire: int = 1) -> bytes:
    """20 bytes for a challenge; with `wire=0` all are random, as the original's."""
    if wire == 0:
        return os.urandom(SALT_SIZE)
    start = os.urandom(_RANDOM_SIZE)
    return start + _mark(start)


def is_marked(salt: bytes) -> bool:
    """Whether the one who made `salt` understands wire v1 (by chance: one in 2^64)."""
    return len(salt) == SALT_SIZE and salt[_RANDOM_SIZE:] == _mark(salt[:_RANDOM_SIZE])


def make_digest(message: bytes, authkey: str | None) -> bytes:
    """The v0 answer to a challenge `message`. Raises `Exception` when it is none."""
    if not message.startswith(CHALLENGE):
        raise Exception("wrong challenge")  # noqa: TRY002 - the original's, tests compare it
    return hmac.digest(_bytes(authkey), message[len(CHALLENGE) :], "md5")


def validate_digest(salt: bytes, digest: bytes, keys: Iterable[str | None]) -> str | None:
    """Which of `keys` the `digest` was made with, if any."""
    found = None
    for key in keys:
        if key is None:
            continue
        if hmac.compare_digest(hmac.digest(_bytes(key), salt, "md5"), digest) and found is None:
            found = key
    return found


def finish_challenge(response: bytes | str) -> None:
    """Read the server's verdict. Raises `AuthError` when it refuses, `Exception` when it is no verdict."""
    try:
        answer = msgspec.json.decode(response)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or "authenticated" not in answer:
        raise Exception("the server's verdict is missing")  # noqa: TRY002 - the original raises no finer one
    if answer["authenticated"] is not True:
        raise AuthError("not authenticated")


def make_hello(salt: bytes, authkey: str | None, nonce: bytes, *, fds: bool = False) -> bytes:
    digest = _sha(authkey, b"client", salt, nonce)
    return HELLO + encode(Hello(1, nonce.hex(), digest, fds))


def read_hello(message: bytes) -> Hello | None:
    """The v1 hello in `message`; None when it is a digest or garbage."""
    if not message.startswith(HELLO):
        return None
    try:
        hello = _hello(message[len(HELLO) :])
        bytes.fromhex(hello.nonce)
    except (ValueError, RecursionError):
        return None
    return hello


def validate_hello(salt: bytes, hello: Hello, keys: Iterable[str]) -> tuple[str | None, str]:
    """(the key that the hello was made with or None, the server's proof)."""
    nonce = bytes.fromhex(hello.nonce)
    found = None
    for key in keys:
        if _same(_sha(key, b"client", salt, nonce), hello.digest) and found is None:
            found = key
    return (None, "") if found is None else (found, _sha(found, b"server", salt, nonce))


def read_verdict(message: bytes | memoryview) -> Verdict | None:
    try:
        return _verdict(message)
    except (ValueError, RecursionError):
        return None


def is_proven(proof: str, authkey: str | None, salt: bytes, nonce: bytes) -> bool:
    """Whether the server knows the key as well: a client with a key talks to no other."""
    return _same(_sha(authkey, b"server", salt, nonce), proof)


def _sha(key: str | None, side: bytes, salt: bytes, nonce: bytes) -> str:
    return hmac.new(_bytes(key), b"wayhouse 1 " + side + salt + nonce, hashlib.sha256).hexdigest()


def _same(ours: str, theirs: str) -> bool:
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "replace"))


def _mark(start: bytes) -> bytes:
    return hashlib.sha256(_MARK + start).digest()[: SALT_SIZE - _RANDOM_SIZE]


def _bytes(key: str | None) -> bytes:
    return (key or "").encode("utf-8", "surrogatepass")
