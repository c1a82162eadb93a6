"""Bytes and descriptors between a socket and a machine, without waiting. Called by the engines and the clients.

Rules: one send for all that waits, what is read goes into one reused buffer or, in the middle of a large message, to where it
belongs, and descriptors arrive closed-on-exec and complete.
"""

from __future__ import annotations

import array
import os
import socket as sockets

from wayhouse.runtime.rpc.outbox import Outbox
from wayhouse.runtime.rpc.wire import Wire

READ_AT_ONCE = 256 * 1024
_FDS_ROOM = sockets.CMSG_SPACE(253 * 4)
_PIECES = 1000
_SENT_AT_ONCE = 16 * 1024 * 1024


class CutError(OSError):
    """More descriptors were sent than a message can bring."""


def send_some(sock: sockets.socket, outbox: Outbox, flags: int = 0) -> bool:
    """Send what fits; whether all is out. Raises `OSError` when the peer is gone."""
    try:
        if not outbox.chunks and not outbox.marks:
            out = outbox.out
            count = sock.send(out, flags)
            if count == len(out):
                out.clear()
                return True
            outbox.sent(count)
        elif not outbox.marks and len(outbox.chunks) < _PIECES:
            outbox.sent(sock.sendmsg([*outbox.chunks, outbox.out], (), flags))
        while outbox.out or outbox.chunks:
            outbox.sent(_send_pieces(sock, outbox, flags))
    except (BlockingIOError, InterruptedError):
        return False
    return True


def receive(sock: sockets.socket, wire: Wire, view: memoryview, flags: int = 0) -> bool:
    """Read once, through the reused buffer `view`, and feed `wire`; False at the end. Raises `OSError`."""
    if wire.descriptors:
        count, fds = _receive_with_fds(sock, view, flags)
        if count:
            wire.feed(view[:count], fds)
        return count > 0
    frames = wire.frames
    if frames.large:
        tail = frames.tail()
        count = sock.recv_into(tail, 0, flags)
        frames.filled(count)
        return count > 0
    count = sock.recv_into(view, 0, flags)
    if count:
        frames.lend(view, count)
    return count > 0


def _receive_with_fds(sock: sockets.socket, view: memoryview, flags: int) -> tuple[int, list[int]]:
    """(bytes read, descriptors that came). Raises `CutError` when some were lost."""
    count, ancillary, seen, _ = sock.recvmsg_into([view], _FDS_ROOM, flags | sockets.MSG_CMSG_CLOEXEC)
    if not ancillary:
        return count, []
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == sockets.SOL_SOCKET and kind == sockets.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    if seen & sockets.MSG_CTRUNC:
        for fd in fds:
            os.close(fd)
        raise CutError("descriptors were lost on the way")
    return count, list(fds)


def _send_pieces(sock: sockets.socket, outbox: Outbox, flags: int) -> int:
    """One send up to the next descriptors, or with the ones that are due."""
    size, fds = outbox.first()
    pieces = outbox.buffers(min(size, _SENT_AT_ONCE))
    try:
        if fds:
            return sockets.send_fds(sock, pieces, fds, flags)
        return sock.sendmsg(pieces, (), flags)
    finally:
        for piece in pieces:
            piece.release()
