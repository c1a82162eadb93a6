"""A connection until messages come: greeting and mechanism, of ZMTP 3 (ZeroMQ RFC 23) and of ZMTP 2 (RFC 15), the server's side.

Called by the connections: give `receive` what came, send what `outbox` gives, until `is_open`; `rest` is what came behind it then.
Rules: pure; nothing of a peer is believed before its mechanism is done; what it sends before that is bounded.
"""

from __future__ import annotations

from collections.abc import Callable

from wayhouse.bus.model import MalformedError
from wayhouse.bus.zmtp import commands
from wayhouse.bus.zmtp.commands import COMMAND, LONG
from wayhouse.bus.zmtp.mechanisms import Mechanism, RefusedError

SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
VERSION = b"\3"
GREETING_SIZE, VERSION_SIZE = 64, 11
MAX_COMMAND = 8192
MAX_IDENTITY = 255
ROUTER, XPUB, PULL, SUB = b"ROUTER", b"XPUB", b"PULL", b"SUB"
ALLOWED = {
    ROUTER: frozenset({b"REQ", b"DEALER", b"ROUTER"}),
    XPUB: frozenset({b"SUB", b"XSUB"}),
    PULL: frozenset({b"PUSH"}),
    SUB: frozenset({b"PUB", b"XPUB"}),
}
"""Whom our sockets speak to."""
OLD = (b"PAIR", b"PUB", b"SUB", b"REQ", b"REP", b"DEALER", b"ROUTER", b"PULL", b"PUSH", b"XPUB", b"XSUB")
"""Kinds of sockets by their numbers in ZMTP 2."""


class Session:
    """`kind` is that of our socket. `identity` is what the peer wants to be called, empty for any; `is_old` says that it speaks ZMTP 2, which has no
    commands."""

    def __init__(self, mechanism: Mechanism, kind: bytes = ROUTER) -> None:
        self._kind = kind
        self.mechanism = mechanism
        self.is_open = self.is_old = False
        self.identity = b""
        self._buffer = bytearray()
        self._out = [SIGNATURE + VERSION]
        self._step: Callable[[], bool] = self._version

    def receive(self, data: bytes) -> None:
        """Raises `MalformedError`, and `RefusedError` for who may not come in; send what is in `outbox` then, and close."""
        self._buffer += data
        while not self.is_open and self._step():
            pass
        if not self.is_open and len(self._buffer) > MAX_COMMAND:
            raise MalformedError("More came before the connection was open than belongs there.")

    def outbox(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    def rest(self) -> bytes:
        """What came behind the last command of the mechanism; taken away from here."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _version(self) -> bool:
        """[signature 10][version 1]: each side waits for the other's version before it goes on."""
        if not SIGNATURE.startswith(self._buffer[:1]):
            raise MalformedError("This is not ZMTP of version 2 or 3.")
        if len(self._buffer) < VERSION_SIZE:
            return False
        if not self._buffer[9] & 1:
            raise MalformedError("This is not ZMTP of version 2 or 3.")
        if self._buffer[10] >= VERSION[0]:
            name = self.mechanism.name.ljust(20, b"\0")
            self._out.append(b"\0" + name + bytes([self.mechanism.as_server]) + bytes(31))
            self._step = self._greeting
        else:
            if self.mechanism.name != b"NULL":
                raise RefusedError("it speaks ZMTP 2, which knows no keys")
            self._out.append(bytes([OLD.index(self._kind)]) + b"\0\0")
            self._step = self._old
        return True

    def _greeting(self) -> bool:
        """[signature][version 2][mechanism 20][as server 1][zeros 31]."""
        if len(self._buffer) < GREETING_SIZE:
            return False
        name = bytes(self._buffer[12:32]).rstrip(b"\0")
        del self._buffer[:GREETING_SIZE]
        if name != self.mechanism.name:
            raise RefusedError(f"it wants the mechanism {name!r}, here is {self.mechanism.name!r}")
        if first := self.mechanism.begin():
            self._out.append(commands.frame(first))
        self._step = self._command
        return True

    def _command(self) -> bool:
        head = 9 if self._buffer[:1] and self._buffer[0] & LONG else 2
        if len(self._buffer) < head:
            return False
        if self._buffer[0] & ~LONG != COMMAND:
            raise MalformedError("A command is expected here, not a message.")
        size = int.from_bytes(self._buffer[1:head], "big")
        if size > MAX_COMMAND - head:
            raise MalformedError("This command is too long.")
        if len(self._buffer) < head + size:
            return False
        body = bytes(self._buffer[head : head + size])
        del self._buffer[: head + size]
        self._take(body)
        return True

    def _take(self, body: bytes) -> None:
        if body.startswith(commands.build(commands.ERROR)):
            raise MalformedError("The peer has given up.")
        try:
            answer = self.mechanism.receive(body)
        except RefusedError as error:
            if error.answer:
                self._out.append(commands.frame(error.answer))
            raise
        properties = self.mechanism.properties
        if properties is not None and properties.get(b"socket-type", b"") not in ALLOWED[self._kind]:
            self._out.append(commands.frame(commands.build_error(b"Invalid socket type")))
            raise RefusedError(f"its socket is not one that speaks to a {self._kind.decode()}")
        if answer:
            self._out.append(commands.frame(answer))
        if properties is not None:
            self._open(properties.get(b"identity", b""))

    def _old(self) -> bool:
        """[signature][version][socket type 1][flags 0][size 1][identity]."""
        if len(self._buffer) < 14 or len(self._buffer) < 14 + self._buffer[13]:
            return False
        kind = OLD[self._buffer[11]] if self._buffer[11] < len(OLD) else b""
        if kind not in ALLOWED[self._kind] or self._buffer[12]:
            raise RefusedError(f"its socket is not one that speaks to a {self._kind.decode()}")
        end = 14 + self._buffer[13]
        identity = bytes(self._buffer[14:end])
        del self._buffer[:end]
        self.is_old = True
        self._open(identity)
        return True

    def _open(self, identity: bytes) -> None:
        if len(identity) > MAX_IDENTITY or identity[:1] == b"\0":
            raise MalformedError("An identity has at most 255 bytes, and begins with none that is 0.")
        self.identity = identity
        self.is_open = True
