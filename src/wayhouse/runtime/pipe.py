"""`Pipe`: JSON values, framed like everything else here, between a process and the one it forks.

Called by `Process` to learn that a child is initialized. Rule: what was written is read before an end is reported.
"""

from __future__ import annotations

import contextlib
import os
import select
from typing import Any

from wayhouse.base import codec
from wayhouse.runtime.deadline import Deadline
from wayhouse.runtime.exceptions import ConnectionClosed, ConnectionReset, ConnectionTimeout, FrameTooLong
from wayhouse.runtime.rpc.frames import U32, Frames, OversizeError
from wayhouse.runtime.rpc.payload import make_frame


class Pipe:
    """`r` and `w` are the descriptors, to be kept open across `close_fds`; -1 once closed."""

    def __init__(self) -> None:
        self.r, self.w = os.pipe()
        os.set_blocking(self.r, False)
        self._frames = Frames()

    def put(self, obj: Any) -> None:
        """Waits while the pipe is full. Raises `ConnectionClosed` without a reader, `TypeError` for what is not JSON."""
        rest = memoryview(make_frame(codec.encode_json(obj)))
        if self.w < 0:
            raise ConnectionClosed
        try:
            while rest:
                rest = rest[os.write(self.w, rest) :]
        except BrokenPipeError as error:
            raise ConnectionClosed from error

    def get(self, timeout: float | None = None) -> Any:
        """The next value; `timeout` in seconds, 0 looks once, None waits for ever.

        Raises `ConnectionTimeout` (a part that was read is kept), `ConnectionClosed` at the end, `ConnectionReset`,
        `FrameTooLong` or `BadInputError` for garbage.
        """
        deadline = Deadline(timeout)
        while (payload := self._next()) is None:
            self._wait(deadline)
            self._read()
        return codec.decode_json(payload, object, what="message")

    def empty(self) -> bool:
        """Whether nothing, not even an end, can be read at the moment."""
        return self.r < 0 or (len(self._frames) == 0 and not self._poll(Deadline(0)))

    def close(self) -> None:
        self.close_reader()
        self.close_writer()

    def close_reader(self) -> None:
        fd, self.r = self.r, -1
        _close(fd)

    def close_writer(self) -> None:
        """What the reading side does after the fork, so that the end of the writer can be seen."""
        fd, self.w = self.w, -1
        _close(fd)

    def _next(self) -> bytes | None:
        try:
            payload = self._frames.next()
        except OversizeError as error:
            raise FrameTooLong(str(error)) from error
        return None if payload is None else bytes(payload)

    def _wait(self, deadline: Deadline) -> None:
        events = self._poll(deadline)
        if not events:
            raise ConnectionTimeout
        if not events[0][1] & (select.POLLIN | select.POLLHUP):
            raise ConnectionReset

    def _poll(self, deadline: Deadline) -> list[tuple[int, int]]:
        if self.r < 0:
            raise ConnectionClosed
        poller = select.poll()
        poller.register(self.r, select.POLLIN)
        return poller.poll(deadline.left_ms())

    def _read(self) -> None:
        have = len(self._frames)
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.r, U32.size - have if have < U32.size else self._frames.missing())
            if not data:
                raise ConnectionClosed
            self._frames.feed(data)


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)
