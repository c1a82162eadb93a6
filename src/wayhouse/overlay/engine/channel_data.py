"""The 4 bytes that a TURN server wants before each datagram to and from a peer (RFC 8656 section 12.4). Used by `ways` and `incoming`.

Rule: over UDP the padding that streams need is left out, and tolerated.
"""

from __future__ import annotations

import struct

PREFIX_SIZE = 4
FIRST_CHANNEL, LAST_CHANNEL = 0x4000, 0x4FFF
_PREFIX = struct.Struct("!HH")


def prefix(channel: int, length: int) -> bytes:
    """Before `length` bytes of data."""
    return _PREFIX.pack(channel, length)


def parse(datagram: bytes | memoryview) -> tuple[int, int] | None:
    """(channel, length of the data after the prefix), or None if it is no ChannelData."""
    if len(datagram) < PREFIX_SIZE:
        return None
    channel, length = _PREFIX.unpack_from(datagram)
    if not FIRST_CHANNEL <= channel <= LAST_CHANNEL or length > len(datagram) - PREFIX_SIZE:
        return None
    return channel, length
