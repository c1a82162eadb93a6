"""`FdTx`: open descriptors, with a text, from one process to another over a UNIX socket.

Called by a daemon that is replaced while its connections live on. Rules: a text and its descriptors are one packet, so
they cannot be mismatched; the socket is its owner's alone; nothing is leaked when something does not fit.
"""

from __future__ import annotations

import array
import contextlib
import os
import select
import socket
from pathlib import Path

from wayhouse.base import ids
from wayhouse.runtime.deadline import Deadline
from wayhouse.runtime.exceptions import ConnectionClosed, Timeout
from wayhouse.runtime.rpc.stream_sockets import Credentials, peer_credentials

MAX_FDS = 253
"""The kernel's limit for one message."""
RETRY_S = 0.02


class Errno(OSError):  # noqa: N818 - the manual's name
    """What the kernel answered."""


class FdTx:
    """`so_path` named a C library once and is ignored."""

    def __init__(self, so_path: str | None = None) -> None:
        self._socket: socket.socket | None = None
        self._made: str | None = None

    def listen(self, dirname: str, filename: str | None = None) -> str:
        """Make the socket in `dirname` (made when missing) and answer its path. Raises a bare `Exception` if it exists."""
        Path(dirname).mkdir(mode=0o700, parents=True, exist_ok=True)
        path = str(Path(dirname) / (filename or ids.token_hex(64)))
        if os.path.lexists(path):
            raise Exception(f"file already exists: {path}")  # noqa: TRY002 - the original's text
        self.close()
        sock = _new_socket()
        before = os.umask(0o177)
        try:
            sock.bind(path)
            sock.listen(1)
        except OSError as error:
            sock.close()
            raise Errno(error.errno, f"{error.strerror}: {path}") from error
        finally:
            os.umask(before)
        self._socket, self._made = sock, path
        return path

    def accept(self, timeout: float | None = None) -> None:
        """Wait for one peer, which takes the listener's place. Raises `Timeout`."""
        listener = self._open()
        self._wait(select.POLLIN, Deadline(timeout))
        peer, _ = listener.accept()
        peer.setblocking(False)
        listener.close()
        self._socket = peer

    def connect(self, path: str, timeout: float | None = None) -> None:
        """Try until the socket is there and listens. Raises `Timeout`."""
        deadline = Deadline(timeout)
        self.close()
        while True:
            sock = _new_socket()
            try:
                sock.connect(path)
            except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                sock.close()
            except OSError as error:
                sock.close()
                raise Errno(error.errno, f"{error.strerror}: {path}") from error
            else:
                self._socket = sock
                return
            if deadline.passed():
                raise Timeout("timed out")
            deadline.pause(RETRY_S)

    def peer(self) -> Credentials:
        """Who is on the other end."""
        return peer_credentials(self._open())

    def put(self, message: str, *fds: int, timeout: float | None = None) -> None:
        """Send `message` and up to 253 descriptors, which stay open here.

        Raises `ValueError`, `Timeout`, `ConnectionClosed` or `Errno`; nothing is sent in part.
        """
        data = message.encode()
        if len(fds) > MAX_FDS:
            raise ValueError(f"{len(fds)} descriptors do not fit into a message, {MAX_FDS} do")
        if not data and not fds:
            raise ValueError("an empty message without descriptors cannot be told from the end")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        deadline = Deadline(timeout)
        while True:
            try:
                self._open().sendmsg([data], rights)
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline)
            except (BrokenPipeError, ConnectionResetError) as error:
                raise ConnectionClosed from error
            except OSError as error:
                raise Errno(error.errno, error.strerror) from error
            else:
                return

    def get(self, max_msg_len: int, max_fds: int, timeout: float | None = None) -> tuple[str, list[int]]:
        """`(message, descriptors)`, these closed on exec and filled up with -1 to `max_fds`.

        Raises `ConnectionClosed`, `Timeout`, or `ValueError` for what is larger than asked for (nothing is left open).
        """
        if not 0 <= max_fds <= MAX_FDS:
            raise ValueError(f"a message carries 0 to {MAX_FDS} descriptors, not {max_fds}")
        self._wait(select.POLLIN, Deadline(timeout))
        try:
            data, fds, flags = _receive(self._open(), max_msg_len, max_fds)
        except ConnectionResetError as error:
            raise ConnectionClosed from error
        except OSError as error:
            raise Errno(error.errno, error.strerror) from error
        if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
            _close(fds)
            raise ValueError(f"the message is larger than {max_msg_len} bytes or {max_fds} descriptors")
        if not data and not fds:
            raise ConnectionClosed
        try:
            return data.decode(), fds + [-1] * (max_fds - len(fds))
        except UnicodeDecodeError:
            _close(fds)
            raise

    def fileno(self) -> int:
        return self._open().fileno()

    def close(self) -> None:
        """Also removes the path that `listen` made."""
        sock, self._socket = self._socket, None
        made, self._made = self._made, None
        if sock is not None:
            sock.close()
        if made is not None:
            with contextlib.suppress(FileNotFoundError):
                Path(made).unlink()

    def _open(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionClosed
        return self._socket

    def _wait(self, mask: int, deadline: Deadline) -> None:
        poller = select.poll()
        poller.register(self._open(), mask)
        if not poller.poll(deadline.left_ms()):
            raise Timeout("timed out")


def _new_socket() -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.setblocking(False)
    return sock


def _receive(sock: socket.socket, size: int, max_fds: int) -> tuple[bytes, list[int], int]:
    room = socket.CMSG_LEN(max_fds * 4) if max_fds else 0
    data, rights, flags, _ = sock.recvmsg(size, room, socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for level, kind, packed in rights:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(packed[: len(packed) - len(packed) % 4])
    return data, list(fds), flags


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
