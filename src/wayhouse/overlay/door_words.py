"""What is said at the door between two gateways: one JSON object a line, over TCP inside the tunnel.

Used by `visit.py` (who shares) and `drivers/far_gateway.py` (who is given). Rules: a line that is too long or no word of these ends the talk; words that a
newer gateway adds are fields with defaults, so that old and new understand each other; no word carries a device's config but what its type needs.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import Any

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, WayhouseError

MOST_LINE = 256 * 1024
MOST_ID = 64
MOST_FRAMES = 64
MOST_FRAME_BYTES = 96 * 1024
"""Of all frames of a call together: base64 and JSON make them longer."""
ALIVE_S = 2.0
SILENT_S = 6.0
"""After so long without a word the other side counts as away."""


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag_field="ask"):
    """`id` comes back in the answer."""

    id: int = 0


class Follow(Ask, frozen=True, kw_only=True, tag="follow"):
    """What is shared, the values now, and everything that changes from now on. Once for each talk."""


class Read(Ask, frozen=True, kw_only=True, tag="read"):
    """The value of a command, from the device itself."""

    device: str
    command: str


class Command(Ask, frozen=True, kw_only=True, tag="command"):
    """Told again with the same `request`, it is done once."""

    device: str
    command: str
    value: Any
    request: str = ""


class Call(Ask, frozen=True, kw_only=True, tag="call"):
    """A service of the bus. `frames` in base64."""

    service: str
    frames: tuple[str, ...] = ()
    request: str = ""
    timeout_s: float = 10.0


Asked = Follow | Read | Command | Call


class Tell(msgspec.Struct, frozen=True, kw_only=True, tag_field="tell", omit_defaults=True):
    pass


class Hello(Tell, frozen=True, kw_only=True, tag="hello"):
    """The first word. `instance` is another one after each start of the gateway, which then knows no requests of before."""

    instance: str
    gateway: str = ""


class Device(Tell, frozen=True, kw_only=True, tag="device"):
    """It is shared, or it is different now. `commands` describes those that can be read or told (as a type's template does); with `may` read they are
    only read."""

    id: str
    name: str
    oid: str
    may: str = "read"
    config: dict[str, Any] = {}
    commands: dict[str, Any] = {}
    is_available: bool = False
    reason: str = ""


class Value(Tell, frozen=True, kw_only=True, tag="value"):
    """`time` in Unix seconds on the clock of who tells."""

    id: str
    command: str
    value: Any
    time: float = 0.0


class Gone(Tell, frozen=True, kw_only=True, tag="gone"):
    """The device is shared no more."""

    id: str


class Services(Tell, frozen=True, kw_only=True, tag="services"):
    """All that can be called, and the ports of apps with their names."""

    names: tuple[str, ...] = ()
    apps: dict[int, str] = {}


class Alive(Tell, frozen=True, kw_only=True, tag="alive"):
    pass


class Done(Tell, frozen=True, kw_only=True, tag="done"):
    id: int
    value: Any = None
    frames: tuple[str, ...] | None = None


class Refused(Tell, frozen=True, kw_only=True, tag="refused"):
    """`status` and `code` are those of errors in the API."""

    id: int
    status: int
    code: str
    message: str


Told = Hello | Device | Value | Gone | Services | Alive | Done | Refused


def encode(word: Ask | Tell) -> bytes:
    """A line. Raises `BadInputError` for one that would be too long, or is no JSON."""
    try:
        line = codec.encode_json(word) + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInputError("This cannot be written as JSON.") from error
    if len(line) > MOST_LINE:
        raise BadInputError(
            f"This is longer than {MOST_LINE // 1024} KiB, the most that goes through the door at once."
        )
    return line


def decode_ask(line: bytes) -> Asked:
    """Raises `BadInputError`."""
    return codec.decode_json(line, Asked, what="request")  # type: ignore[arg-type]  # a union is a type for msgspec


def decode_tell(line: bytes) -> Told:
    """Raises `BadInputError`."""
    return codec.decode_json(line, Told, what="answer")  # type: ignore[arg-type]  # a union is a type for msgspec


def wrap(frames: Sequence[bytes]) -> tuple[str, ...]:
    """Raises `BadInputError`."""
    if len(frames) > MOST_FRAMES or sum(map(len, frames)) > MOST_FRAME_BYTES:
        raise BadInputError(
            f"A call has at most {MOST_FRAMES} frames with {MOST_FRAME_BYTES // 1024} KiB together."
        )
    return tuple(binascii.b2a_base64(one, newline=False).decode() for one in frames)


def unwrap(frames: Sequence[str]) -> list[bytes]:
    """Raises `BadInputError`."""
    try:
        found = [binascii.a2b_base64(one.encode("ascii"), strict_mode=True) for one in frames]
    except (UnicodeEncodeError, binascii.Error):
        raise BadInputError("The frames of a call are in base64.") from None
    if len(found) > MOST_FRAMES or sum(map(len, found)) > MOST_FRAME_BYTES:
        raise BadInputError(
            f"A call has at most {MOST_FRAMES} frames with {MOST_FRAME_BYTES // 1024} KiB together."
        )
    return found


def refusal(number: int, error: WayhouseError) -> Refused:
    return Refused(id=number, status=error.status, code=error.code, message=error.message[:1000])
