"""Messages from and to bytes of ZMTP, in Python alone: what `wire` uses where nothing was compiled.

The twin of `native/zmtp.c`, with the same tests. Rules: nothing is taken twice, however it is cut; what is too large is told before it is there.
"""

from __future__ import annotations

from typing import cast

from wayhouse.bus.model import Frames, MalformedError

MORE, LONG, COMMAND, KNOWN = 1, 2, 4, 7
MAX_FRAMES = 10_000


def decode(data: bytes, into: list[Frames | bytes], max_bytes: int) -> tuple[int, int]:
    """Take the whole frames of `data`. The last of `into` is the message under way, its first frame the identity that each new one gets
    too; behind each that is whole a new one is begun. A command is `bytes`, put before it.

    The bytes that were taken, and how many there must be of the rest before the next frame is whole. Raises `MalformedError` for
    flags that are none, for more than `max_bytes` or `MAX_FRAMES` in one message, and for a command in the middle of one.
    """
    message = cast("Frames", into[-1])
    size = sum(map(len, message)) if len(message) > 1 else len(message[0])
    at, end = 0, len(data)
    while end - at >= 2:
        flags, length, body = data[at], data[at + 1], at + 2
        if flags & LONG:
            body = at + 9
            if end < body:
                return at, 9
            length = int.from_bytes(data[at + 1 : body], "big")
        size += length
        if flags > KNOWN or size > max_bytes or len(message) > MAX_FRAMES:
            raise MalformedError("This is no frame of ZMTP, or a message that is too large.")
        if end - body < length:
            return at, body - at + length
        at = body + length
        if flags & COMMAND:
            if flags & MORE or len(message) > 1:
                raise MalformedError("A command of ZMTP is alone, between messages.")
            into.insert(-1, data[body:at])
            size = len(message[0])
            continue
        message.append(data[body:at])
        if not flags & MORE:
            message = [message[0]]
            into.append(message)
            size = len(message[0])
    return at, 2


def encode(message: Frames, start: int) -> bytes:
    """The bytes of the frames of `message` from `start` on; there is at least one."""
    out = []
    last = len(message) - 1
    heads, long_head = _HEADS[MORE], _LONG_HEADS[MORE]
    for place in range(start, last + 1):
        if place == last:
            heads, long_head = _HEADS[0], _LONG_HEADS[0]
        frame = message[place]
        length = len(frame)
        out.append(heads[length] if length < 256 else long_head + length.to_bytes(8, "big"))
        out.append(frame)
    return b"".join(out)


_HEADS = [[bytes([flags, length]) for length in range(256)] for flags in (0, 1)]
_LONG_HEADS = [b"\2", b"\3"]
