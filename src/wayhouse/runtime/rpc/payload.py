"""What a frame carries, as the callers of `Connection` give it: text or bytes; and the four bytes of length before it."""

from __future__ import annotations

from wayhouse.runtime.exceptions import FrameTooLong
from wayhouse.runtime.rpc.frames import U32

MAX_LENGTH = 0xFFFF_FFFF

Payload = str | bytes | bytearray | memoryview


def payload_bytes(payload: Payload) -> bytes | bytearray | memoryview:
    """Text as UTF-8; anything bytes-like as it is. Raises `TypeError` for the rest."""
    if isinstance(payload, str):
        return payload.encode("utf-8", "surrogatepass")
    if isinstance(payload, bytes | bytearray):
        return payload
    if isinstance(payload, memoryview):
        return payload.cast("B") if payload.c_contiguous else payload.tobytes()
    raise TypeError(f"a payload is text or bytes, not {type(payload).__name__}")


def make_header(payload: Payload) -> bytes:
    """Raises `FrameTooLong` for what four bytes cannot count."""
    size = len(payload_bytes(payload))
    if size > MAX_LENGTH:
        raise FrameTooLong(f"a payload of {size} bytes cannot be framed")
    return U32.pack(size)


def make_frame(payload: Payload) -> bytes:
    data = payload_bytes(payload)
    return b"".join((make_header(data), data))


def split_message(message: bytes) -> tuple[int, bytes]:
    """`(announced size, what follows the header)`; compare the two to know whether it is complete."""
    if len(message) < U32.size:
        raise ValueError(f"a message has a header of {U32.size} bytes, this is {len(message)} bytes long")
    return U32.unpack_from(message)[0], bytes(message[U32.size :])
