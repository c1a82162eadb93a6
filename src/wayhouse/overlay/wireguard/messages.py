"""WireGuard's four messages on the wire (whitepaper section 5.4), and why one of them is refused.

Used by every file of this package. Rule: all numbers are little-endian, every handshake message has one exact length, and the three bytes
behind the type are zero; whatever is not so is refused before anything is computed.
"""

from __future__ import annotations

import struct

from wayhouse.base.errors import BadInputError

INITIATION = 1
RESPONSE = 2
COOKIE_REPLY = 3
DATA = 4

INITIATION_SIZE = 148
RESPONSE_SIZE = 92
COOKIE_REPLY_SIZE = 64
DATA_HEADER_SIZE = 16
TAG_SIZE = 16
SMALLEST_DATA = DATA_HEADER_SIZE + TAG_SIZE
"""A keepalive: a data message without a packet."""
MACS_SIZE = 32
"""mac1 and mac2, at the end of an initiation and of a response."""
PADDING = 16

KEY_SIZE = 32
TIMESTAMP_SIZE = 12

_SIZES = {INITIATION: INITIATION_SIZE, RESPONSE: RESPONSE_SIZE, COOKIE_REPLY: COOKIE_REPLY_SIZE}
_INDEX = struct.Struct("<I")
_DATA = struct.Struct("<IIQ")
_NONCE = struct.Struct("<4xQ")


class BadHandshakeError(BadInputError):
    """A handshake message that is not answered; `reason` is one word for the figures."""

    code = "bad-handshake"
    title = "The handshake message is not accepted"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The handshake message is refused ({reason}); the peer tries again by itself.")
        self.reason = reason


def handshake_type(datagram: bytes) -> int:
    """1, 2 or 3. Raises `BadHandshakeError`."""
    kind = _INDEX.unpack_from(datagram)[0] if len(datagram) >= 4 else 0
    if _SIZES.get(kind) != len(datagram):
        raise BadHandshakeError("malformed")
    return int(kind)


def is_data(datagram: bytes) -> bool:
    return len(datagram) >= SMALLEST_DATA and datagram[:4] == b"\4\0\0\0"


def head(kind: int, *indices: int) -> bytes:
    """The type and the indices that follow it."""
    return b"".join(_INDEX.pack(number) for number in (kind, *indices))


def index_at(message: bytes, offset: int) -> int:
    return int(_INDEX.unpack_from(message, offset)[0])


def data_header(remote_index: int, counter: int) -> bytes:
    return _DATA.pack(DATA, remote_index, counter)


def index_and_counter(datagram: bytes) -> tuple[int, int]:
    """Of a data message."""
    _, index, counter = _DATA.unpack_from(datagram)
    return index, counter


def nonce(counter: int) -> bytes:
    return _NONCE.pack(counter)


def padded(packet: bytes) -> bytes:
    """With zeros up to a multiple of 16, so that lengths tell less."""
    missing = -len(packet) % PADDING
    return packet + bytes(missing) if missing else packet
