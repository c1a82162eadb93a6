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
from wayhouse.runtime.transport import READ_AT_ONCE, receive, send_some
from wayhouse.runtime.wire import ClientEvent, ClientWire, Goodbye, Lost

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
        wire = self.wire
        frames = wire.frames
        while True:
            if frames.pos == frames.end:
                self._fill(deadline)
            event = wire.next()
            if event is not None:
                return event
            if frames.pos != frames.end:
                self._fill(deadline)

    def ready(self) -> ClientEvent | None:
        """The next event, if it is here already."""
        if self._early:
            return self._early.popleft()
        frames = self.wire.frames
        return self.wire.next() if frames.pos != frames.end else None

    def after_reading(self, deadline: Deadline) -> ClientEvent | None:
        """Read once; the next event, if that made one."""
        self._fill(deadline)
        return self.wire.next()

    def close(self) -> None:
        self.wire.close()
        self.sock.close()

    def _fill(self, deadline: Deadline) -> None:
        if deadline is not FOREVER:
            left = deadline.left_ms()
            if left is not None and not self._poll.poll(left):
                raise ConnectionTimeout
        wire = self.wire
        if wire.frames.pos != wire.frames.end:
            wire.settle()
        try:
            alive = receive(self.sock, wire, self._view)
        except OSError as error:
            raise ConnectionClosed from error
        if not alive:
            raise ConnectionClosed

    def _wait_for_room(self, deadline: Deadline) -> None:
        poll = select.poll()
        poll.register(self.sock, select.POLLIN | select.POLLOUT)
        ready = poll.poll(deadline.left_ms())
        if not ready:
            raise ConnectionTimeout
        if ready[0][1] & select.POLLIN:
            self._read_early(deadline)

    def _read_early(self, deadline: Deadline) -> None:
        self._fill(deadline)
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
