"""Commands of ZMTP 3 (ZeroMQ RFC 23): a name and what follows it, in a frame with the command flag; properties of a peer.

Called by the session, its mechanisms and the connections. Rules: pure; what is malformed raises `MalformedError` and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

from wayhouse.bus.model import MalformedError

MORE, LONG, COMMAND = 1, 2, 4
"""Flags of a frame: another follows; its size has 8 bytes; it is no part of a message."""
READY, ERROR = b"READY", b"ERROR"
HELLO, WELCOME, INITIATE = b"HELLO", b"WELCOME", b"INITIATE"
MESSAGE, PING, PONG = b"MESSAGE", b"PING", b"PONG"
NOT_ALLOWED = b"400"
SHORT = 255


def build(name: bytes, data: bytes = b"") -> bytes:
    """What is in the frame."""
    return bytes([len(name)]) + name + data


def frame(body: bytes, flags: int = COMMAND) -> bytes:
    """With its flags and size in front."""
    if len(body) <= SHORT:
        return bytes([flags, len(body)]) + body
    return bytes([flags | LONG]) + len(body).to_bytes(8, "big") + body


def parse(body: bytes) -> tuple[bytes, bytes]:
    """(name, data)."""
    size = body[0] if body else 0
    if not size or len(body) <= size:
        raise MalformedError("A command of ZMTP begins with the length of its name, and its name.")
    return body[1 : 1 + size], body[1 + size :]


def build_error(reason: bytes) -> bytes:
    """Why this connection ends."""
    return build(ERROR, bytes([len(reason)]) + reason)


def build_properties(properties: Mapping[bytes, bytes]) -> bytes:
    return b"".join(
        bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value
        for name, value in properties.items()
    )


def parse_properties(data: bytes) -> dict[bytes, bytes]:
    """By name in lower case, since case does not matter in them."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        value_at = name_end + 4
        end = value_at + int.from_bytes(data[name_end:value_at], "big")
        if name_end == at + 1 or end > len(data) or value_at > len(data):
            raise MalformedError("A property of ZMTP is a name and a value, each behind its length.")
        found[data[at + 1 : name_end].lower()] = data[value_at:end]
        at = end
    return found
