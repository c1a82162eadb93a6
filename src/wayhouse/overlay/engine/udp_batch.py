"""Many datagrams of one size in one system call: UDP_SEGMENT to send (Linux 4.18) and UDP_GRO to receive (5.0), where the kernel and the
way have them; one by one where not.

Called by `ways` and `incoming`. Rule: full buffers are waited for only briefly, then datagrams are dropped, as a router does.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct

from wayhouse.overlay.ports import Address

MOST_SEGMENTS = 64
MOST_BYTES = 65507
PATIENCE_MS = 3
BUFFER_BYTES = 4 << 20
TRY_AGAIN_AFTER = 1000
"""Batches: the way may have become another one, with a greater MTU."""
_SOL_UDP, _UDP_SEGMENT, _UDP_GRO = 17, 103, 104
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _DONT = 10, 23, 0
_SIZE = struct.Struct("=H")
_GRO_SIZE = struct.Struct("=i")
CONTROL_SPACE = socket.CMSG_SPACE(4)
_NOT_IN_BATCHES = {errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP}
"""EIO: the interface cannot compute checksums; EINVAL and EMSGSIZE: a datagram is greater than its MTU, and must be fragmented."""
_FULL = {errno.EAGAIN, errno.ENOBUFS}


def prepare(sock: socket.socket) -> None:
    """Set the socket up for batches. Datagrams that are too large for the way are fragmented, as the tunnel's own packets keep to its MTU."""
    sock.setblocking(False)
    for option, fallback in ((_SO_SNDBUFFORCE, socket.SO_SNDBUF), (_SO_RCVBUFFORCE, socket.SO_RCVBUF)):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, fallback, BUFFER_BYTES)
    with contextlib.suppress(OSError):
        sock.setsockopt(_SOL_UDP, _UDP_GRO, 1)
    with contextlib.suppress(OSError):
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _DONT)
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _DONT)


def restore(sock: socket.socket) -> None:
    """For an owner that reads one datagram at a time."""
    with contextlib.suppress(OSError):
        sock.setsockopt(_SOL_UDP, _UDP_GRO, 0)


def most_segments(size: int) -> int:
    """How many datagrams of `size` bytes one batch may have."""
    return min(MOST_SEGMENTS, MOST_BYTES // size) or 1


def receive(sock: socket.socket, buffer: memoryview) -> tuple[int, int, Address]:
    """(bytes, bytes of each datagram but for a shorter last one, from where). Raises `OSError`."""
    count, control, _, address = sock.recvmsg_into([buffer], CONTROL_SPACE)
    size = count
    for level, kind, value in control:
        if kind == _UDP_GRO and level == _SOL_UDP:
            (size,) = _GRO_SIZE.unpack_from(value)
    return count, size, address


class Batches:
    """Sends to one address over one socket. `singles` is for how many batches to come datagrams go one by one, as the way took none."""

    __slots__ = ("_address", "_ancillary", "_size", "_sock", "singles")

    def __init__(self, sock: socket.socket, address: Address) -> None:
        self._sock, self._address = sock, address
        self._size = 0
        self._ancillary: list[tuple[int, int, bytes]] = []
        self.singles = 0

    def send(self, data: memoryview, size: int) -> int:
        """Datagrams of `size` bytes, the last one perhaps shorter, at most `most_segments`. How many could not be sent. Never raises."""
        total = len(data)
        if total > size and self.singles:
            self.singles -= 1
        elif total > size:
            try:
                return 0 if self._send(data, size) else -(-total // size)
            except OSError as error:
                if error.errno not in _NOT_IN_BATCHES:
                    return -(-total // size)
                self.singles = TRY_AGAIN_AFTER
        lost = 0
        for begin in range(0, total, size):
            try:
                lost += not self._send(data[begin : begin + size], size)
            except OSError:
                lost += 1
        return lost

    def _send(self, data: memoryview, size: int) -> bool:
        try:
            self._send_now(data, size)
        except BlockingIOError:
            pass
        except ConnectionRefusedError:  # tells of an earlier datagram
            pass
        except OSError as error:
            if error.errno not in _FULL:
                raise
        else:
            return True
        return self._send_later(data, size)

    def _send_later(self, data: memoryview, size: int) -> bool:
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT)
        poll.poll(PATIENCE_MS)
        try:
            self._send_now(data, size)
        except (BlockingIOError, ConnectionRefusedError):
            return False
        except OSError as error:
            if error.errno not in _FULL:
                raise
            return False
        return True

    def _send_now(self, data: memoryview, size: int) -> None:
        if len(data) <= size:
            self._sock.sendto(data, self._address)
            return
        if size != self._size:
            self._size = size
            self._ancillary = [(_SOL_UDP, _UDP_SEGMENT, _SIZE.pack(size))]
        self._sock.sendmsg([data], self._ancillary, 0, self._address)
