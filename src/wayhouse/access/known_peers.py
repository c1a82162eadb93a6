"""The file of those who may connect to the bus over TCP, and its form, which the process of the bus reads, too (`--credentials`).

Called by `bus_keys`. Rules: it is replaced as a whole or not at all, nobody but its owner can read it, and nothing of it is in a message.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from pathlib import Path

import msgspec
from zmq.utils import z85

from wayhouse.access.model import UnsafeFileError
from wayhouse.access.plain_file import open_plain, place
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError

MOST_BYTES = 1024 * 1024
KEY_BYTES, KEY_LETTERS = 32, 40
_DIGEST = re.compile("[0-9a-f]{64}")


class KnownPeers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names by public key (Z85), passwords by user, and the SHA-256 (hexadecimal) of passwords by user: for those that the gateway
    has made, which are too long to be guessed."""

    curve: dict[str, str] = {}
    plain: dict[str, str] = {}
    plain_sha256: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not all(map(is_key, self.curve)):
            raise ValueError(f"a public key has {KEY_LETTERS} characters of Z85")
        if not all(map(_DIGEST.fullmatch, self.plain_sha256.values())):
            raise ValueError("a SHA-256 has 64 hexadecimal digits")

    def __repr__(self) -> str:
        return f"KnownPeers({len(self.curve)} of curve, {len(self.plain) + len(self.plain_sha256)} of plain)"

    def __len__(self) -> int:
        return len(self.curve) + len(self.plain) + len(self.plain_sha256)


def is_key(text: str) -> bool:
    """Whether it is a key of CURVE as Z85 (ZeroMQ RFC 32) writes it."""
    if len(text) != KEY_LETTERS:
        return False
    try:
        return len(z85.decode(text.encode("ascii"))) == KEY_BYTES
    except (KeyError, ValueError, UnicodeEncodeError, OverflowError, struct.error):
        return False


def read(path: Path) -> KnownPeers:
    """Nobody, where there is no file. Raises `UnsafeFileError`."""
    try:
        file = open_plain(path)
    except FileNotFoundError:
        return KnownPeers()
    with file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise UnsafeFileError(f"{path} can be read by others than its owner; do `chmod 600 {path}`.")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UnsafeFileError(f"{path} is larger than 1 MiB. Move it away.")
    try:
        return codec.decode_json(content, KnownPeers, what=f"file {path}")
    except BadInputError as error:
        raise UnsafeFileError(
            f"{path} is damaged and was left as it is: {error.message} Put it right, or move it away, and add the peers again."
        ) from error


def write(path: Path, peers: KnownPeers) -> None:
    """Raises `UnavailableError` (a full disk) or `UnsafeFileError` when it cannot be written."""
    place(path, codec.encode_json(peers), Path.rename)
