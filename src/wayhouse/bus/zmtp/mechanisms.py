"""How a peer shows who it is: the mechanisms NULL and PLAIN of ZMTP 3 (ZeroMQ RFC 23, 24), the server's side.

Called by the session. Rules: deny by default; a refusal says no more than that; what came is in no message.
"""

from __future__ import annotations

from typing import Protocol

from wayhouse.bus.model import MalformedError
from wayhouse.bus.zmtp import commands
from wayhouse.bus.zmtp.commands import build, build_properties, parse_properties


def ours(kind: bytes) -> bytes:
    """The properties of our side, a socket of this kind."""
    return build_properties({b"Socket-Type": kind, b"Identity": b""})


class Credentials(Protocol):
    """Both return who it is, or None to refuse."""

    def plain(self, user: str, password: str) -> str | None: ...

    def curve(self, key: bytes) -> str | None:
        """`key`: the client's public key, 32 bytes."""
        ...


class RefusedError(Exception):
    """A peer is not let in; `answer` is the command to be sent before the connection ends."""

    def __init__(self, text: str, answer: bytes = b"") -> None:
        super().__init__(text)
        self.answer = answer


class Wrapping(Protocol):
    """What a mechanism does to the frames of messages once the connection is open."""

    def seal(self, frames: list[bytes]) -> bytes:
        """The bytes of a message on the wire."""
        ...

    def seal_command(self, body: bytes) -> bytes: ...

    def open(self, body: bytes) -> tuple[int, bytes]:
        """(flags, frame) of what one frame on the wire carries. Raises `MalformedError`."""
        ...


class Mechanism(Protocol):
    """`properties` are the peer's, once they are known: then the connection is open. `key` is its public key, if it has one."""

    name: bytes
    as_server: bool
    properties: dict[bytes, bytes] | None
    key: bytes

    @property
    def wrapping(self) -> Wrapping | None:
        """None where messages go as they are."""
        ...

    def begin(self) -> bytes:
        """The command that is sent first; none when it is empty."""
        ...

    def receive(self, command: bytes) -> bytes:
        """The command to be sent, if any. Raises `MalformedError` and `RefusedError`."""
        ...


class Null:
    """Everybody is let in."""

    name, as_server = b"NULL", False
    key = b""
    wrapping = None

    def __init__(self, kind: bytes) -> None:
        self._kind = kind
        self.properties: dict[bytes, bytes] | None = None

    def begin(self) -> bytes:
        return build(commands.READY, ours(self._kind))

    def receive(self, command: bytes) -> bytes:
        name, data = commands.parse(command)
        if name != commands.READY:
            raise MalformedError("READY is expected here.")
        self.properties = parse_properties(data)
        return b""


class Plain:
    """A user and a password, in the clear."""

    name, as_server = b"PLAIN", True
    key = b""
    wrapping = None

    def __init__(self, kind: bytes, credentials: Credentials) -> None:
        self._kind = kind
        self.properties: dict[bytes, bytes] | None = None
        self._credentials = credentials
        self._is_known = False

    def begin(self) -> bytes:
        return b""

    def receive(self, command: bytes) -> bytes:
        name, data = commands.parse(command)
        if name == commands.HELLO and not self._is_known:
            self._check(data)
            return build(commands.WELCOME)
        if name == commands.INITIATE and self._is_known:
            self.properties = parse_properties(data)
            return build(commands.READY, ours(self._kind))
        raise MalformedError("HELLO, then INITIATE are expected here.")

    def _check(self, data: bytes) -> None:
        user, rest = _counted(data)
        password, rest = _counted(rest)
        if rest:
            raise MalformedError("HELLO has a user and a password.")
        try:
            self._is_known = self._credentials.plain(user.decode(), password.decode()) is not None
        except UnicodeDecodeError:
            self._is_known = False
        if not self._is_known:
            raise RefusedError(
                "its user and password are not known", commands.build_error(commands.NOT_ALLOWED)
            )


def _counted(data: bytes) -> tuple[bytes, bytes]:
    """What is behind its length of one byte, and what follows it."""
    if not data or len(data) - 1 < data[0]:
        raise MalformedError("This is shorter than it says.")
    return data[1 : 1 + data[0]], data[1 + data[0] :]
