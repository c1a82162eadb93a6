"""The receiving side of sd_notify(3): one socket for each child, in a folder that only this user can enter.

Called by the driver of supervision. Rules: a message counts only when its sender, as the kernel names it, has our user id
and is the child, its main process or a descendant; descriptors that came with one that does not count are closed.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterator

import msgspec

from wayhouse.base.errors import BadInputError
from wayhouse.runtime.supervision.notify_message import MAX_BYTES, Notice, parse

MAX_FDS = 253
MAX_DEPTH = 64
AT_ONCE = 64
"""Messages that are taken before others have their turn."""

_UCRED = struct.Struct("3i")
_ANCILLARY = socket.CMSG_SPACE(_UCRED.size) + socket.CMSG_SPACE(MAX_FDS * 4)


class Received(msgspec.Struct, frozen=True):
    """A message from `pid`, whoever that is; the receiver owns `fds`. `fault`: why it cannot be understood."""

    pid: int
    uid: int
    notice: Notice
    fds: tuple[int, ...] = ()
    fault: str = ""


class NotifySocket:
    """`address` is for NOTIFY_SOCKET. With `fd`, one that another process made and handed over."""

    def __init__(self, address: str = "", fd: int = -1) -> None:
        if fd >= 0:
            self.address = address
            self._sock = socket.socket(fileno=fd)
        else:
            self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self.address = _bind(self._sock)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._sock.setblocking(False)

    def fileno(self) -> int:
        return self._sock.fileno()

    def receive(self) -> Iterator[Received]:
        """What is there, at most `AT_ONCE`."""
        for _ in range(AT_ONCE):
            try:
                data, ancillary, flags, _ = self._sock.recvmsg(
                    MAX_BYTES + 1, _ANCILLARY, socket.MSG_CMSG_CLOEXEC
                )
            except (BlockingIOError, InterruptedError):
                return
            yield _received(data, ancillary, flags)

    def close(self) -> None:
        """Nobody can be heard any more."""
        with contextlib.suppress(OSError):
            os.unlink(self.address)  # noqa: PTH108 - pathlib is left out of small processes
        self._sock.close()

    def detach(self) -> None:
        """It lives on in another process."""
        self._sock.close()


def close_all(fds: tuple[int, ...] | list[int]) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


def parent_of(pid: int) -> int:
    """0 for none, or a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def descends(pid: int, ancestors: set[int]) -> bool:
    """Whether it is one of them or was started below one."""
    for _ in range(MAX_DEPTH):
        if pid in ancestors:
            return True
        if pid <= 1:
            return False
        pid = parent_of(pid)
    return False


def _received(data: bytes, ancillary: list[tuple[int, int, bytes]], flags: int) -> Received:
    pid = uid = -1
    fds = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
        elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid, uid, _ = _UCRED.unpack_from(content)
    fault = "it is too long, or has descriptors that cannot be taken"
    if not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        try:
            return Received(pid, uid, parse(data), tuple(fds))
        except BadInputError as error:
            fault = str(error)
    close_all(list(fds))
    return Received(pid, uid, Notice(), (), fault)


def _bind(sock: socket.socket) -> str:
    folder = _folder()
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        _sweep(folder)
        address = f"{folder}/{os.urandom(8).hex()}"
        sock.bind(address)
    finally:
        os.close(fd)
    return address


def _folder() -> str:
    """Ours alone, in the first place that lets us; Raises `OSError` when none does."""
    bases = (os.environ.get("XDG_RUNTIME_DIR"), "/run", os.environ.get("TMPDIR"), "/tmp")  # noqa: S108 - 0700, checked
    for base in bases:
        if base and len(base) < 60:
            folder = f"{base}/wayhouse-notify-{os.geteuid()}"
            with contextlib.suppress(FileExistsError, PermissionError, FileNotFoundError):
                os.mkdir(folder, 0o700)  # noqa: PTH102
            if _is_ours(folder):
                return folder
    raise PermissionError(13, "There is no folder for the notification socket: set TMPDIR to one of yours")


def _is_ours(folder: str) -> bool:
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    private = stat.S_IMODE(found.st_mode) == 0o700 and stat.S_ISDIR(found.st_mode)
    return private and found.st_uid == os.geteuid() and os.access(folder, os.W_OK)


def _sweep(folder: str) -> None:
    """Sockets of supervisors that were killed; called under the lock of the folder."""
    for name in os.listdir(folder):  # noqa: PTH208
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(f"{folder}/{name}")
            except ConnectionRefusedError:
                os.unlink(f"{folder}/{name}")  # noqa: PTH108
            except OSError:
                continue
