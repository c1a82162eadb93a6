"""One accepted connection of ZMTP: bytes to messages and back, with what does not leave at once kept for later.

Made by the router. Rules: it never waits; what a peer can have us keep is bounded on both ways; who breaks the protocol is closed, and
nothing else happens.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import cast

from wayhouse.bus.drivers.frames import decode, encode
from wayhouse.bus.drivers.watch import READ, WRITE, Watch
from wayhouse.bus.drivers.zmtp_pure import MAX_FRAMES
from wayhouse.bus.model import Frames, MalformedError
from wayhouse.bus.zmtp import commands
from wayhouse.bus.zmtp.mechanisms import RefusedError, Wrapping
from wayhouse.bus.zmtp.session import Session

MAX_MESSAGE = 16 << 20
"""Bytes of a message, or of a frame; who sends more is disconnected."""
AT_ONCE, MOST_AT_ONCE = 64 << 10, 1 << 20
"""What is read in one turn, when nothing or much of a frame is known to come."""
HIGH_WATER, HIGH_WATER_BYTES = 10_000, 64 << 20
"""Messages, and their bytes, that wait for a peer which does not read; more than any window of credit."""
BACKLOG_BYTES = 256 << 20
"""What waits for all such peers together."""
GATHERED = 64
"""Pieces in one call of the system."""


class Backlog:
    """`bytes` wait for peers that do not read."""

    def __init__(self) -> None:
        self.bytes = 0


class Connection:
    """`received` gets the messages of all connections, `touched` those connections that have something to send; `on_open` is called with the identity
    that the peer wishes and gives the one it has, `on_lost` with the reason, once."""

    def __init__(
        self,
        sock: socket.socket,
        session: Session,
        watch: Watch,
        received: list[Frames],
        touched: list[Connection],
        backlog: Backlog,
        on_open: Callable[[Connection, bytes], bytes],
        on_lost: Callable[[Connection, str], object],
    ) -> None:
        self.identity = b""
        self.session = session
        self.is_local = sock.family == socket.AF_UNIX
        self._sock = sock
        self._fd = sock.fileno()
        self._watch = watch
        self._received = received
        self._touched = touched
        self._backlog = backlog
        self._on_open, self._on_lost = on_open, on_lost
        self._message: Frames = []
        self._buffer = bytearray()
        self._wanted = self._size = 0
        self._out: deque[bytes | memoryview] = deque()
        self._waiting = 0
        self._is_blocked = self._is_closed = False
        self._recv, self._send = sock.recv, sock.send
        self._take: Callable[[bytes], None] = self._greet
        watch.add(self._fd, self.ready)
        self._say(session.outbox())

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def ready(self, what: int) -> None:
        """Something can be read or written, or it has failed, which reading shows."""
        if self._is_closed:
            return
        if what & WRITE:
            self._write_more()
        if what & ~WRITE and not self._is_closed:
            self._read()

    def put(self, message: Frames) -> bool:
        """Have the frames behind the first sent with the next `flush`; False when the peer does not read."""
        wrapping = self.session.mechanism.wrapping
        return self.put_bytes(encode(message, 1) if wrapping is None else wrapping.seal(message[1:]))

    def put_bytes(self, data: bytes) -> bool:
        """The same of whole messages as they are on the wire."""
        if self._is_blocked:
            if not self._has_room(len(data)):
                return False
            self._wait_for(len(data))
        elif not self._out:
            self._touched.append(self)
        self._out.append(data)
        return True

    def flush(self) -> None:
        """Send what is there, as far as it goes."""
        if self._is_blocked or not self._out:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.close(str(error))
            return
        self._out.clear()
        if sent < len(data):
            self._out.append(memoryview(data)[sent:])
            self._block(len(data) - sent)

    def close(self, reason: str = "closed") -> None:
        """At once; what was not sent is gone."""
        if self._is_closed:
            return
        self._is_closed = True
        self._wait_for(-self._waiting)
        self._watch.remove(self._fd)
        self._out.clear()
        self._buffer.clear()
        self._sock.close()
        self._on_lost(self, reason)

    def end(self) -> bool:
        """Whether all that was to be sent has been, and it is closed in order then."""
        if not self._is_closed and self._out:
            self._write_more()
        if self._is_closed or not self._out:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
            self.close()
        return self._is_closed

    def _read(self) -> None:
        wanted = self._wanted - len(self._buffer)
        try:
            data = self._recv(AT_ONCE if wanted <= AT_ONCE else min(wanted, MOST_AT_ONCE))
        except BlockingIOError:
            return
        except OSError as error:
            self.close(str(error))
            return
        if not data:
            self.close("the peer has gone")
            return
        try:
            self._take(data)
        except MalformedError as error:
            self.close(error.message)
        except RefusedError as error:
            self._say(self.session.outbox())
            self.close(str(error))

    def _greet(self, data: bytes) -> None:
        session = self.session
        session.receive(data)
        self._say(session.outbox())
        if session.is_open and not self._is_closed:
            self.identity = self._on_open(self, session.identity)
            self._message = [self.identity]
            wrapping = session.mechanism.wrapping
            self._take = self._messages if wrapping is None else partial(self._wrapped, wrapping)
            if rest := session.rest():
                self._take(rest)

    def _messages(self, data: bytes) -> None:
        """The hot path."""
        into: list[Frames | bytes] = [self._message]
        self._unpack(data, into)
        self._message = cast("Frames", into.pop())
        if into:
            self._deliver(into)

    def _unpack(self, data: bytes, into: list[Frames | bytes]) -> None:
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._wanted:
                return
            data = bytes(self._buffer)
            self._buffer.clear()
        taken, self._wanted = decode(data, into, MAX_MESSAGE)
        if taken < len(data):
            self._buffer += memoryview(data)[taken:]

    def _deliver(self, found: list[Frames | bytes]) -> None:
        if any(type(one) is bytes for one in found):
            for one in found:
                if isinstance(one, bytes):
                    self._obey(one)
            found = [one for one in found if not isinstance(one, bytes)]
        self._received += cast("list[Frames]", found)

    def _wrapped(self, wrapping: Wrapping, data: bytes) -> None:
        """Each frame is a message of its own on the wire, or a command, with the true one inside."""
        into: list[Frames | bytes] = [[b""]]
        self._unpack(data, into)
        if len(into.pop()) > 1:
            raise MalformedError("Frames that are sealed stand alone.")
        for one in into:
            flags, frame = wrapping.open(one if isinstance(one, bytes) else one[1])
            if flags & commands.COMMAND:
                self._obey(frame)
                continue
            self._message.append(frame)
            self._size += len(frame)
            if self._size > MAX_MESSAGE or len(self._message) > MAX_FRAMES:
                raise MalformedError("This message is too large.")
            if not flags & commands.MORE:
                self._received.append(self._message)
                self._message, self._size = [self.identity], 0

    def _obey(self, command: bytes) -> None:
        """A peer that wants to know whether we are there is answered; nothing else is asked of a ROUTER."""
        name, data = commands.parse(command)
        if name == commands.ERROR:
            raise MalformedError("The peer has given up.")
        if name == commands.PING:
            body = commands.build(commands.PONG, data[2:18])
            wrapping = self.session.mechanism.wrapping
            self._say(commands.frame(body) if wrapping is None else wrapping.seal_command(body))

    def _say(self, data: bytes) -> None:
        """Of the protocol itself; a peer that has us say much of that and does not read is closed."""
        if not data or self._is_closed:
            return
        self._out.append(data)
        if self._is_blocked:
            self._wait_for(len(data))
            if len(self._out) > HIGH_WATER:
                self.close("it does not read")
        else:
            self.flush()

    def _has_room(self, size: int) -> bool:
        return (
            len(self._out) < HIGH_WATER
            and self._waiting + size <= HIGH_WATER_BYTES
            and self._backlog.bytes + size <= BACKLOG_BYTES
        )

    def _wait_for(self, size: int) -> None:
        """More waits, or less."""
        self._waiting += size
        self._backlog.bytes += size

    def _block(self, waiting: int) -> None:
        self._is_blocked = True
        self._wait_for(waiting)
        self._watch.change(self._fd, READ | WRITE)

    def _write_more(self) -> None:
        pieces = list(islice(self._out, GATHERED))
        try:
            sent = self._sock.sendmsg(pieces) if pieces else 0
        except BlockingIOError:
            return
        except OSError as error:
            self.close(str(error))
            return
        if self._is_blocked:
            self._wait_for(-sent)
        while self._out and sent >= len(self._out[0]):
            sent -= len(self._out.popleft())
        if sent:
            self._out[0] = memoryview(self._out[0])[sent:]
        if not self._out and self._is_blocked:
            self._is_blocked = False
            self._watch.change(self._fd, READ)
