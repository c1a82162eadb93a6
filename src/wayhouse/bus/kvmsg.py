"""One key with its value, as the clone's peers exchange it: RFC 12's five frames and the three frames of RasPy and the Guide.

Called by the clone's server, its clients, and programs written after RasPy's manual. Rules: what comes is understood by its
frame count and by the length of its sequence (8 bytes, or RasPy's 4), whatever form we send; an empty body deletes.
"""

from __future__ import annotations

import struct
from collections.abc import MutableMapping, Sequence
from enum import Enum
from typing import Self

import msgspec
import zmq

from wayhouse.base.errors import BadInputError

MAX_KEY_BYTES = 1024
MAX_PROPERTIES_BYTES = 4096
HUGZ = b"HUGZ"
KTHXBAI = b"KTHXBAI"
ICANHAZ = b"ICANHAZ?"

LONG = struct.Struct("!Q")
SHORT = struct.Struct("!L")
SHORT_MASK = 0x7FFF_FFFF  # RasPy reads a signed number


class Form(Enum):
    """How a message is sent. The value is the name in settings."""

    CHP = "chp"
    """Five frames (RFC 12): key, sequence of 8 bytes, uuid, properties, body."""
    SIMPLE = "simple"
    """Three frames: key, sequence of 8 bytes, body (the Guide in C, RasPy's manual)."""
    RASPY = "raspy"
    """Three frames with a sequence of 4 bytes (RasPy's code, the Guide's Python `kvsimple`); it wraps at 2^31."""

    def pack_sequence(self, sequence: int) -> bytes:
        if self is Form.RASPY:
            return SHORT.pack(sequence & SHORT_MASK)
        return LONG.pack(sequence)

    def frames(
        self, key: bytes, sequence: bytes, body: bytes, uuid: bytes = b"", properties: bytes = b""
    ) -> list[bytes]:
        if self is Form.CHP:
            return [key, sequence, uuid, properties, body]
        return [key, sequence, body]

    def note(self, key: bytes, sequence: bytes, text: bytes) -> list[bytes]:
        """A message that is no update: what it says goes to where the form has room."""
        if self is Form.CHP:
            return [key, sequence, b"", text, b""]
        return [key, sequence, text]


def read_sequence(frame: bytes) -> int:
    """Raises `BadInputError` unless it has 8 or 4 bytes."""
    if len(frame) == LONG.size:
        return int(LONG.unpack(frame)[0])
    if len(frame) == SHORT.size:
        return int(SHORT.unpack(frame)[0])
    raise BadInputError("A sequence has 8 bytes, or 4 in RasPy's form.")


def read_properties(frame: bytes) -> dict[str, str]:
    """`name=value` lines. Raises `BadInputError` for anything else."""
    if not frame:
        return {}
    if len(frame) > MAX_PROPERTIES_BYTES:
        raise BadInputError(f"Properties of more than {MAX_PROPERTIES_BYTES} bytes are not taken.")
    try:
        lines = frame.decode().rstrip("\n").split("\n")
    except UnicodeDecodeError:
        raise BadInputError("Properties are UTF-8 lines of name=value.") from None
    found = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not (name and equals):
            raise BadInputError("Properties are UTF-8 lines of name=value.")
        found[name] = value
    return found


def write_properties(properties: MutableMapping[str, str]) -> bytes:
    """Raises `BadInputError` for a name or value that a line cannot hold."""
    for name, value in properties.items():
        if not name or "=" in name or "\n" in name or "\n" in value:
            raise BadInputError("A property is a name without '=' and a value, both of one line.")
    frame = "".join(f"{name}={value}\n" for name, value in properties.items()).encode()
    if len(frame) > MAX_PROPERTIES_BYTES:
        raise BadInputError(f"Properties of more than {MAX_PROPERTIES_BYTES} bytes are not taken.")
    return frame


def to_bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else bytes(text)


class KVMsg(msgspec.Struct, gc=False):
    """A message. `key` is text (bytes that are no UTF-8 survive as surrogates); None stands for an empty frame."""

    sequence: int
    key: str | None = None
    body: bytes | None = None
    uuid: bytes = b""
    properties: dict[str, str] = {}

    @classmethod
    def from_frames(cls, frames: Sequence[bytes]) -> Self:
        """Raises `BadInputError` for what is neither three nor five good frames."""
        if len(frames) == 3:
            key, sequence, body = frames
            uuid, properties = b"", {}
        elif len(frames) == 5:
            key, sequence, uuid, lines, body = frames
            if len(uuid) not in {0, 16}:
                raise BadInputError("A uuid has 16 bytes or none.")
            properties = read_properties(lines) if lines else {}
        else:
            raise BadInputError("A key/value message has 3 or 5 frames.")
        text = key.decode("utf-8", "surrogateescape") if key else None
        return cls(read_sequence(sequence), text, body or None, uuid, properties)

    def to_frames(self, form: Form = Form.CHP) -> list[bytes]:
        """Raises `BadInputError` for properties that cannot be written."""
        sequence = form.pack_sequence(self.sequence)
        key, body = to_bytes(self.key or b""), self.body or b""
        return form.frames(key, sequence, body, self.uuid, write_properties(self.properties))

    def send(self, socket: zmq.Socket[bytes], form: Form = Form.SIMPLE) -> None:
        """As the manual has it: three frames, unless another form is named."""
        socket.send_multipart(self.to_frames(form))

    @classmethod
    def recv(cls, socket: zmq.Socket[bytes]) -> Self:
        """Blocks for the next message. Raises `BadInputError` for what is none."""
        return cls.from_frames(socket.recv_multipart())

    def store(self, dikt: MutableMapping[str, Self]) -> None:
        """Put into `dikt`, or, without a body, take its key out of it."""
        if self.key is None:
            return
        if self.body is None:
            dikt.pop(self.key, None)
        else:
            dikt[self.key] = self

    def dump(self) -> str:
        body = self.body or b""
        shown = body.decode("utf-8", "backslashreplace")
        return f"[seq:{self.sequence}][key:{self.key}][size:{len(body)}] {shown}"
