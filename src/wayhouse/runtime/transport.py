"""Bytes and descriptors between a socket and a machine, without waiting. Called by the engines and the clients.

Rules: one send per message, what is read goes into one reused buffer, and descriptors arrive closed-on-exec and complete.
"""

from __future__ import annotations

import array
import os
import socket as sockets

from wayhouse.runtime.wire import Outbox

READ_AT_ONCE = 256 * 1024
_FDS_ROOM = sockets.CMSG_SPACE(253 * 4)


class CutError(OSError):
    """More descriptors were sent than a message can bring."""


def send_some(sock: sockets.socket, outbox: Outbox, flags: int = 0) -> bool:
    """Send what fits; whether all is out. Raises `OSError` when the peer is gone."""
    try:
        while outbox.out:
            if outbox.marks:
                outbox.sent(_send_marked(sock, outbox, flags))
                continue
            count = sock.send(outbox.out, flags)
            outbox.sent(count)
            if outbox.out and not flags:
                return False
    except (BlockingIOError, InterruptedError):
        return False
    return True


def receive_into(sock: sockets.socket, view: memoryview, flags: int = 0) -> tuple[int, list[int]]:
    """(bytes read, descriptors that came) on a UNIX socket. Raises `OSError`; `CutError` when some were lost."""
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


def _send_marked(sock: sockets.socket, outbox: Outbox, flags: int) -> int:
    """One send up to the next descriptors, or with the ones that are due."""
    size, fds = outbox.first()
    with memoryview(outbox.out) as view, view[:size] as part:
        if not fds:
            return sock.send(part, flags)
        return sockets.send_fds(sock, [part], fds, flags)
