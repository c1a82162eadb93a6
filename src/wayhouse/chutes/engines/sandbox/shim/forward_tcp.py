"""Carries TCP connections from a published port of the host to the service: many at once, each half closed alone.

The listening socket was made in the host's network namespace, `connect` makes its sockets in the chute's.
"""

from __future__ import annotations

import errno
import socket

from wayhouse.chutes.engines.sandbox.shim.loop import READ, WRITE, Loop

CHUNK_BYTES = 64 * 1024
PAUSE_S = 0.1


class Forward:
    """Accepts on `listener` and joins each connection with one to `address` of family `family`."""

    def __init__(self, loop: Loop, listener: socket.socket, family: int, address: object) -> None:
        self._loop = loop
        self._listener = listener
        self._family = family
        self._address = address
        listener.setblocking(False)
        loop.watch(listener, READ, self._accept)

    def _accept(self, _events: int) -> None:
        for _ in range(64):
            try:
                client, _peer = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}:
                    self._pause()
                return
            self._join(client)

    def _pause(self) -> None:
        self._loop.forget(self._listener)
        self._loop.later(PAUSE_S, lambda: self._loop.watch(self._listener, READ, self._accept))

    def _join(self, client: socket.socket) -> None:
        try:
            inner = socket.socket(self._family, socket.SOCK_STREAM)
        except OSError:
            client.close()
            return
        for end in (client, inner):
            end.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if inner.connect_ex(self._address) not in {0, errno.EINPROGRESS, errno.EAGAIN}:  # type: ignore[arg-type]
            client.close()
            inner.close()
            return
        Pair(self._loop, client, inner)


class Pair:
    """Two sockets; what one says the other is told. `inner` may still be connecting."""

    def __init__(self, loop: Loop, client: socket.socket, inner: socket.socket) -> None:
        self._loop = loop
        self._ends = (client, inner)
        self._waiting = {client: bytearray(), inner: bytearray()}
        self._open_in = {client: True, inner: True}
        self._open_out = {client: True, inner: True}

        loop.watch(inner, WRITE, self._connected)

    def _connected(self, _events: int) -> None:
        if self._ends[1].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._close()
            return

        self._watch()

    def _other(self, end: socket.socket) -> socket.socket:
        return self._ends[1] if end is self._ends[0] else self._ends[0]

    def _watch(self) -> None:
        """Read from an end only while nothing waits to be written to the other: memory stays bounded."""
        for end in self._ends:
            events = 0
            if self._open_in[end] and not self._waiting[self._other(end)]:
                events |= READ
            if self._waiting[end]:
                events |= WRITE
            self._loop.watch(end, events, lambda ready, end=end: self._ready(end, ready))  # type: ignore[misc]

    def _ready(self, end: socket.socket, events: int) -> None:
        try:
            if events & WRITE:
                self._write(end)
            if events & READ and self._open_in[end]:
                self._read(end)
        except BlockingIOError:
            pass
        except OSError:
            self._close()
            return
        if any(self._open_in.values()) or any(self._waiting.values()):
            self._watch()
        else:
            self._close()

    def _read(self, end: socket.socket) -> None:
        other = self._other(end)
        data = end.recv(CHUNK_BYTES)
        if data:
            self._waiting[other] += data
            self._write(other)
        else:
            self._open_in[end] = False
            self._end_output_of(other)

    def _write(self, end: socket.socket) -> None:
        waiting = self._waiting[end]
        if waiting:
            try:
                del waiting[: end.send(waiting)]
            except BlockingIOError:
                return
        self._end_output_of(end)

    def _end_output_of(self, end: socket.socket) -> None:
        """Tell `end` that no more comes once all is written and the other end said so."""
        if self._open_out[end] and not self._waiting[end] and not self._open_in[self._other(end)]:
            self._open_out[end] = False
            end.shutdown(socket.SHUT_WR)

    def _close(self) -> None:
        for end in self._ends:
            self._loop.forget(end)
            end.close()
