"""`BlockingConnection`: a `Connection` whose calls wait, each with one deadline in seconds (None: for ever).

Called by clients. After a `ConnectionTimeout` nothing is lost: what was read or not yet sent is kept for the next call.
"""

from __future__ import annotations

import select
from typing import Self

from wayhouse.runtime.deadline import Deadline
from wayhouse.runtime.exceptions import (
    ConnectionAgain,
    ConnectionClosed,
    ConnectionInProgress,
    ConnectionRefused,
    ConnectionTimeout,
)
from wayhouse.runtime.rpc.message_queue import C, Connection
from wayhouse.runtime.rpc.payload import Payload, payload_bytes

RETRY_S = 0.1


class BlockingConnection(Connection):
    _read_ahead = b""

    def poll(self, mask: int, timeout: float | None = None) -> list[tuple[int, int]]:
        """`[(descriptor, events)]`, empty when `timeout` passed. Raises `ConnectionClosed` without a socket."""
        return self._poll(mask, Deadline(timeout))

    def connect(self, timeout: float | None = None, optimist: bool = False) -> None:  # noqa: FBT001, FBT002
        """`optimist` tries again, each 0.1 s, until the peer is there. Raises `ConnectionRefused`, `ConnectionTimeout`."""
        deadline = Deadline(timeout)
        while True:
            try:
                return self._connect_once(deadline)
            except (ConnectionRefused, ConnectionAgain):
                if not optimist:
                    raise
            if deadline.passed():
                raise ConnectionTimeout
            deadline.pause(RETRY_S)

    def accept(  # type: ignore[override]  # the manual's order of arguments
        self,
        timeout: float | None = None,
        Class: type[C] | None = None,  # noqa: N803
    ) -> C | Self:
        """Raises `ConnectionTimeout`, or `ConnectionClosed` when this does not listen."""
        deadline = Deadline(timeout)
        while True:
            try:
                return super().accept(Class)
            except ConnectionAgain:
                self._wait(select.POLLIN, deadline)

    def write(self, data: Payload, timeout: float | None = None) -> int:
        """All of `data`, or `ConnectionTimeout`, `ConnectionClosed`."""
        deadline = Deadline(timeout)
        rest = memoryview(payload_bytes(data))
        size = len(rest)
        while rest:
            try:
                rest = rest[self._send([rest]) :]
            except ConnectionAgain:
                self._wait(select.POLLOUT, deadline)
        return size

    def read(self, size: int, timeout: float | None = None) -> bytes:
        """Exactly `size` bytes. What was read before a `ConnectionTimeout` is returned by the next call."""
        deadline = Deadline(timeout)
        while len(self._read_ahead) < size:
            try:
                self._read_ahead += self._receive(size - len(self._read_ahead))
            except ConnectionAgain:
                self._wait(select.POLLIN, deadline)
        data, self._read_ahead = self._read_ahead[:size], self._read_ahead[size:]
        return data

    def put(self, payload: Payload, timeout: float | None = None) -> Payload:
        """Send `payload`, after what an earlier call may have left; the same payload again goes on with it."""
        deadline = Deadline(timeout)
        while True:
            sent = super().put(payload)
            if sent is None:
                self._wait(select.POLLOUT, deadline)
            elif sent is payload or payload_bytes(sent) == payload_bytes(payload):
                return payload

    def get(self, timeout: float | None = None) -> bytes:
        """Exactly one message. Raises `ConnectionTimeout`, `ConnectionClosed` or `FrameTooLong`."""
        deadline = Deadline(timeout)
        while True:
            if not self._broken and self._wanted():
                self._wait(select.POLLIN, deadline)
            payload = super().get()
            if payload is not None:
                return payload

    def _connect_once(self, deadline: Deadline) -> None:
        while True:
            try:
                return super().connect()
            except ConnectionInProgress:
                if not self._poll(select.POLLOUT, deadline):
                    self.close(hard=False)
                    raise ConnectionTimeout from None

    def _wait(self, mask: int, deadline: Deadline) -> None:
        if not self._poll(mask, deadline):
            raise ConnectionTimeout

    def _poll(self, mask: int, deadline: Deadline) -> list[tuple[int, int]]:
        poller = select.poll()
        if self.fileno() < 0:
            raise ConnectionClosed
        poller.register(self.fileno(), mask)
        return poller.poll(deadline.left_ms())
