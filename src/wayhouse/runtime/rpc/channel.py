"""A blocking socket and a client's machine: send what is queued, wait for what comes, all within a deadline.

Called by `RemoteControl`. Rules: while there is something to send, what comes is read too, so two full pipes never wait for each
other; without a deadline a call is one send and one recv.
"""

from __future__ import annotations

import select
import socket as sockets
from collections import deque

from wayhouse.runtime.deadline import Deadline
from wayhouse.runtime.exceptions import ConnectionClosed, ConnectionTimeout
from wayhouse.runtime.rpc.transport import READ_AT_ONCE, receive, send_some
from wayhouse.runtime.rpc.wire import ClientEvent, ClientWire, Goodbye, Lost
from wayhouse.runtime.supervision import usual

FOREVER = Deadline(None)
_DONT_WAIT = sockets.MSG_DONTWAIT


class Channel:
    def __init__(self, sock: sockets.socket, wire: ClientWire) -> None:
        sock.setblocking(True)
        self.sock = sock
        self.wire = wire
        self._view = memoryview(bytearray(READ_AT_ONCE))
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._early: deque[ClientEvent] = deque()

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, deadline: Deadline) -> None:
        """All that is queued. Raises `ConnectionTimeout` (the rest stays queued) or `ConnectionClosed`."""
        outbox = self.wire.outbox
        try:
            while not send_some(self.sock, outbox, _DONT_WAIT):
                self._wait_for_room(deadline)
        except OSError as error:
            raise self._last_words() from error

    def event(self, deadline: Deadline) -> ClientEvent:
        """The next event. Raises `ConnectionTimeout` or `ConnectionClosed`."""
        if self._early:
            return self._early.popleft()
        frames = self.wire.frames
        if frames.pos == frames.end:
            self.fill(deadline)
        while (event := self.wire.next()) is None:
            self.fill(deadline)
        return event

    def answer(self, number: int, deadline: Deadline) -> ClientEvent:
        """The next event; when it is the plain answer of call `number`, and comes alone, by a short way."""
        wire = self.wire
        frames = wire.frames
        if frames.pos != frames.end or self._early or wire.descriptors:
            return self.event(deadline)
        if deadline is not FOREVER:
            self._wait(deadline)
        try:
            count = self.sock.recv_into(self._view)
        except OSError as error:
            raise ConnectionClosed from error
        if not count:
            raise ConnectionClosed
        found = usual.answer(wire, self._view, count, number)
        if found is not None:
            return found
        frames.lend(self._view, count)
        return wire.next() or self.event(deadline)

    def ready(self) -> ClientEvent | None:
        """The next event, if it is here already."""
        if self._early:
            return self._early.popleft()
        frames = self.wire.frames
        return self.wire.next() if frames.pos != frames.end else None

    def after_reading(self, deadline: Deadline) -> ClientEvent | None:
        """Read once; the next event, if that made one."""
        self.fill(deadline)
        return self.wire.next()

    def close(self) -> None:
        self.wire.close()
        self.sock.close()

    def fill(self, deadline: Deadline) -> None:
        """Wait for bytes, and read once. Raises `ConnectionTimeout` or `ConnectionClosed`."""
        if deadline is not FOREVER:
            self._wait(deadline)
        wire = self.wire
        if wire.frames.pos != wire.frames.end:
            wire.settle()
        try:
            alive = receive(self.sock, wire, self._view)
        except OSError as error:
            raise ConnectionClosed from error
        if not alive:
            raise ConnectionClosed

    def _wait(self, deadline: Deadline) -> None:
        left = deadline.left_ms()
        if left is not None and not self._poll.poll(left):
            raise ConnectionTimeout

    def _wait_for_room(self, deadline: Deadline) -> None:
        poll = select.poll()
        poll.register(self.sock, select.POLLIN | select.POLLOUT)
        ready = poll.poll(deadline.left_ms())
        if not ready:
            raise ConnectionTimeout
        if ready[0][1] & select.POLLIN:
            self._read_early(deadline)

    def _read_early(self, deadline: Deadline) -> None:
        self.fill(deadline)
        while (event := self.wire.next()) is not None:
            self._early.append(event)

    def _last_words(self) -> Exception:
        """The server has closed; it may have said why before."""
        try:
            while True:
                self._read_early(Deadline(0))
        except (ConnectionClosed, ConnectionTimeout):
            pass
        for event in self._early:
            if isinstance(event, Goodbye | Lost):
                return Ended(event)
        return ConnectionClosed()


class Ended(Exception):  # noqa: N818 - it carries an event
    """The server said goodbye, or spoke nonsense."""

    def __init__(self, event: Goodbye | Lost) -> None:
        super().__init__()
        self.event = event
