"""How a client, worker, subscriber, publisher or Titanic shows a bus over TCP who it is: PLAIN or CURVE of ZMTP (RFCs 24 and 25).

Given to any of them as `keys=`. Rules: nothing is shown over a UNIX socket, which its folder guards; secrets are in no message and no
`repr`, and are only read from a file that nobody else can read. PLAIN sends the password as it is: only for networks that are trusted.
"""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import Self

import msgspec
import zmq
from zmq.utils import z85

from wayhouse.base.codec import decode_json
from wayhouse.base.errors import BadInputError

AnySocket = zmq.Socket[bytes]


class Plain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Plain({self.user!r})"


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All in Z85, 40 characters: the server's public key, and one's own pair."""

    server: str
    public: str
    secret: str

    def __post_init__(self) -> None:
        for key in (self.server, self.public, self.secret):
            if len(key) != 40 or not _is_z85(key):
                raise ValueError("a key of curve has 40 characters of Z85")

    def __repr__(self) -> str:
        return f"Curve(public={self.public!r})"


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of both, or none. As a file it is JSON: `{"plain": {"user": ..., "password": ...}}` or `{"curve": {"server": ...,
    "public": ..., "secret": ...}}`."""

    plain: Plain | None = None
    curve: Curve | None = None

    def __post_init__(self) -> None:
        if self.plain is not None and self.curve is not None:
            raise ValueError("keys are either plain or curve")

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Raises `BadInputError` for a file that cannot be used, or that others can read."""
        return decode_json(read_secret(path), cls, what=f"file of keys {path}")

    def apply(self, socket: AnySocket, address: str) -> None:
        """Before `socket` connects to `address`."""
        if not address.startswith("tcp:"):
            return
        if self.plain is not None:
            socket.setsockopt(zmq.PLAIN_USERNAME, self.plain.user.encode())
            socket.setsockopt(zmq.PLAIN_PASSWORD, self.plain.password.encode())
        if self.curve is not None:
            socket.setsockopt(zmq.CURVE_SERVERKEY, self.curve.server.encode())
            socket.setsockopt(zmq.CURVE_PUBLICKEY, self.curve.public.encode())
            socket.setsockopt(zmq.CURVE_SECRETKEY, self.curve.secret.encode())


NO_KEYS = Keys()


def make_pair() -> tuple[str, str]:
    """A new (public, secret) for curve."""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def read_secret(path: str | Path) -> bytes:
    """Raises `BadInputError`."""
    try:
        with Path(path).open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise BadInputError(f"{path} can be read by others than its owner; do `chmod 600 {path}`.")
            return file.read()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from error


def _is_z85(text: str) -> bool:
    try:
        return len(z85.decode(text.encode("ascii"))) == 32
    except (KeyError, ValueError, UnicodeEncodeError, OverflowError, struct.error):
        return False
