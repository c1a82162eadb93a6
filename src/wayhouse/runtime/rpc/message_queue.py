"""`Connection`: a non-blocking queue of framed messages on a TCP or UNIX stream socket.

Called by servers' loops, and by `BlockingConnection`, which adds the waiting. Rules: one send per message and no Nagle;
nothing is read beyond the present frame, so what poll(2) says about the descriptor is the whole truth.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket as sockets
from typing import Self, TypeVar

from wayhouse.runtime.exceptions import (
    ConnectionAgain,
    ConnectionClosed,
    ConnectionInProgress,
    ConnectionRefused,
    ConnectionTimeout,
    FrameTooLong,
)
from wayhouse.runtime.rpc.frames import LIMIT, U32, Frames, OversizeError
from wayhouse.runtime.rpc.payload import Payload, make_header, payload_bytes, split_message
from wayhouse.runtime.rpc.stream_sockets import (
    Address,
    checked_address,
    connected_to_itself,
    new_socket,
    socket_address,
    tune,
)

READ_AT_ONCE = 1 << 18
JOINED_BELOW = 1 << 14
KEEPALIVE_S = 5

C = TypeVar("C", bound="Connection")


class Connection:
    """`address` is `(host, port)`, or the path of a UNIX socket; '' as host is this host. Not needed with a `socket`."""

    def __init__(self, address: Address | None, socket: sockets.socket | None = None) -> None:
        if socket is None:
            checked_address(address)
        self.address = address
        self._socket = socket
        self._frames = Frames(LIMIT)
        self._broken: FrameTooLong | None = None
        self._unsent: list[memoryview] = []
        self._sending: Payload | None = None

    @property
    def port(self) -> int:
        """The port of the address, else the one that the socket is bound to; 0 for UNIX sockets."""
        if isinstance(self.address, tuple):
            return self.address[1]
        name = self._socket.getsockname() if self._socket is not None and self.address is None else ""
        return int(name[1]) if isinstance(name, tuple) else 0

    @property
    def socket(self) -> sockets.socket:
        """Raises `ConnectionClosed` without one."""
        if self._socket is None:
            raise ConnectionClosed
        return self._socket

    def fileno(self) -> int:
        """-1 without a socket."""
        return -1 if self._socket is None else self._socket.fileno()

    def set_max_frame(self, size: int) -> None:
        """Refuse messages of more than `size` bytes from here on (64 MiB unless told)."""
        self._frames.limit = size

    def listen(self, backlog: int = 512) -> None:
        sock = self._renew()
        sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        try:
            sock.bind(socket_address(self.address))
            sock.listen(backlog)
        except BaseException:
            self.close(hard=False)
            raise
        self.set_keepalive()

    def accept(self, Class: type[C] | None = None) -> C | Self:  # noqa: N803 - the manual's name
        """The next waiting peer as a `Class`. Raises `ConnectionAgain` for none, `ConnectionClosed` without a listener."""
        try:
            sock, peer = self.socket.accept()
        except (BlockingIOError, ConnectionAbortedError) as error:
            raise ConnectionAgain from error
        except OSError as error:
            if error.errno in {errno.EBADF, errno.EINVAL}:
                raise ConnectionClosed from error
            raise
        sock.setblocking(False)
        tune(sock)
        kind = type(self) if Class is None else Class
        return kind(peer[:2] if isinstance(peer, tuple) else None, sock)

    def connect(self) -> None:
        """Begin, or go on. Raises `ConnectionInProgress` (poll for writing, then call again) or `ConnectionRefused`."""
        sock = self._renew() if self._socket is None else self._socket
        code = self._connect_code(sock)
        if code in {errno.EINPROGRESS, errno.EALREADY}:
            raise ConnectionInProgress
        if code not in {0, errno.EISCONN}:
            self.close(hard=False)
        if code == errno.EAGAIN:
            raise ConnectionAgain
        if code == errno.ETIMEDOUT:
            raise ConnectionTimeout
        if code not in {0, errno.EISCONN}:
            raise ConnectionRefused("connection refused" if code == errno.ECONNREFUSED else os.strerror(code))
        if connected_to_itself(sock):
            self.close(hard=False)
            raise ConnectionRefused
        self.set_keepalive()

    def close(self, hard: bool = True) -> None:  # noqa: FBT001, FBT002 - the manual's signature
        """`hard` also ends the connection for every other holder of the socket; soft only lets go of it here."""
        sock, self._socket = self._socket, None
        if sock is None:
            return
        if hard:
            with contextlib.suppress(OSError):
                sock.shutdown(sockets.SHUT_RDWR)
        sock.close()

    def write(self, data: Payload) -> int:
        """Bytes written, at least one. Raises `ConnectionAgain` or `ConnectionClosed`."""
        return self._send([memoryview(payload_bytes(data))])

    def read(self, size: int) -> bytes:
        """1 to `size` bytes. Raises `ConnectionAgain` or `ConnectionClosed`."""
        return self._receive(size)

    def put(self, payload: Payload) -> Payload | None:
        """The payload once it is out completely, None while a part is kept: then the next call goes on with that part
        and ignores its argument. Raises `ConnectionClosed`."""
        if not self._unsent:
            self._begin(payload)
        try:
            while self._unsent:
                self._advance(self._send(self._unsent))
        except ConnectionAgain:
            return None
        sent, self._sending = self._sending, None
        return sent

    def get(self) -> bytes | None:
        """One message, None while it is incomplete. Raises `ConnectionClosed` or `FrameTooLong`."""
        while (payload := self._next()) is None:
            try:
                self._frames.feed(self._receive(min(self._wanted(), READ_AT_ONCE)))
            except ConnectionAgain:
                return None
        return payload

    def set_keepalive(self) -> None:
        """Notice a peer that vanished: after 5 s of silence ask every 5 s, five times. Also switches Nagle off."""
        tune(self.socket, KEEPALIVE_S)

    def set_buf_sizes(self, receive: int, send: int) -> tuple[int, int]:
        """What the kernel made of it (it doubles)."""
        self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, receive)
        self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, send)
        return self.get_buf_sizes()

    def get_buf_sizes(self) -> tuple[int, int]:
        options = (sockets.SO_RCVBUF, sockets.SO_SNDBUF)
        receive, send = (self.socket.getsockopt(sockets.SOL_SOCKET, option) for option in options)
        return receive, send

    def carried(self) -> tuple[bytes, bytes]:
        """`(read, unsent)`: what a successor needs beside the descriptor to go on in the middle of a frame."""
        return self._frames.rest(), b"".join(self._unsent)

    def carry_on(self, read: bytes, unsent: bytes) -> None:
        """Take up where the holder before stood; `put` sends the rest first and returns it."""
        self._frames = Frames(self._frames.limit)
        self._frames.feed(read)
        self._unsent = [memoryview(unsent)] if unsent else []
        self._sending = unsent or None

    make_header = staticmethod(make_header)
    validate_message = staticmethod(split_message)

    def _renew(self) -> sockets.socket:
        address = checked_address(self.address)
        self.close(hard=False)
        self._socket = new_socket(address)
        self._frames, self._broken = Frames(self._frames.limit), None
        self._unsent, self._sending = [], None
        return self._socket

    def _connect_code(self, sock: sockets.socket) -> int:
        failed = sock.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR)
        if failed:
            return failed
        try:
            return sock.connect_ex(socket_address(self.address))
        except sockets.gaierror as error:
            self.close(hard=False)
            raise ConnectionRefused(f"the name of the host cannot be resolved: {error.strerror}") from error

    def _next(self) -> bytes | None:
        if self._broken:
            raise self._broken
        try:
            payload = self._frames.next()
        except OversizeError as error:
            self._broken = FrameTooLong(str(error))
            raise self._broken from error
        return None if payload is None else bytes(payload)

    def _wanted(self) -> int:
        """How many bytes to the end of the header, else of the frame; 0 when one is complete."""
        have = len(self._frames)
        return U32.size - have if have < U32.size else self._frames.missing()

    def _receive(self, size: int) -> bytes:
        try:
            data = self.socket.recv(size)
        except BlockingIOError as error:
            raise ConnectionAgain from error
        except OSError as error:
            raise ConnectionClosed from error
        if not data and size > 0:
            raise ConnectionClosed
        return data

    def _begin(self, payload: Payload) -> None:
        data = payload_bytes(payload)
        header = make_header(data)
        parts = [b"".join((header, data))] if len(data) < JOINED_BELOW else [header, data]
        self._unsent = [memoryview(part) for part in parts]
        self._sending = payload

    def _send(self, parts: list[memoryview]) -> int:
        if not any(parts):
            return 0
        try:
            sock = self.socket
            sent = sock.send(parts[0]) if len(parts) == 1 else sock.sendmsg(parts)
        except BlockingIOError as error:
            raise ConnectionAgain from error
        except OSError as error:
            raise ConnectionClosed from error
        if sent == 0:
            raise ConnectionClosed
        return sent

    def _advance(self, sent: int) -> None:
        while self._unsent and sent >= len(self._unsent[0]):
            sent -= len(self._unsent.pop(0))
        if sent:
            self._unsent[0] = self._unsent[0][sent:]
