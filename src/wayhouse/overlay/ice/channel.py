"""ChannelData (RFC 8656 section 12.4), and how messages follow one another on a stream to a TURN server.

Used by `turn` and `drivers/relays.py`.
"""

from __future__ import annotations

import struct

from wayhouse.overlay.ice.stun import HEADER, BadStunError

_HEAD = 4


def is_channel_data(data: bytes) -> bool:
    """By its first byte: 0x40 to 0x4F."""
    return len(data) >= _HEAD and data[0] & 0xF0 == 0x40


def wrap(number: int, data: bytes, *, is_stream: bool) -> bytes:
    """On a stream it is padded to 4 bytes."""
    return struct.pack("!HH", number, len(data)) + data + (bytes(-len(data) % 4) if is_stream else b"")


def unwrap(data: bytes) -> tuple[int, bytes]:
    """Number and content; (0, b"") when it is none."""
    if not is_channel_data(data):
        return 0, b""
    number, length = struct.unpack_from("!HH", data)
    content = data[_HEAD : _HEAD + length]
    return (number, content) if len(content) == length else (0, b"")


class Frames:
    """Cuts a stream into STUN messages and ChannelData."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now, without padding. Raises `BadStunError` when the stream is neither: close it."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= _HEAD:
            length = int.from_bytes(self._buffer[2:4], "big")
            first = self._buffer[0]
            if first >= 4 and first & 0xF0 != 0x40:
                raise BadStunError("the stream of the relay cannot be understood")
            size = _HEAD + length if first >= 4 else HEADER + length
            padded = size + -size % 4
            if len(self._buffer) < padded:
                break
            frames.append(bytes(self._buffer[:size]))
            del self._buffer[:padded]
        return frames
