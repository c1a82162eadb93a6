"""`Zygote`: a small process, forked early, that forks the others: a start costs the same however large and threaded its owner is.

Called by supervisors. The work is named, not copied: `"package.module:function"` with arguments of JSON, and descriptors. One
child is always forked ahead and waits for its work, for most of the time of a start is that of the fork.
Rule: whatever it started ends with it, and it ends with its owner.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import threading
import weakref
from collections.abc import Sequence
from types import FrameType
from typing import Any, ClassVar

import msgspec

from wayhouse.base import codec
from wayhouse.runtime.deadline import Deadline
from wayhouse.runtime.exceptions import ConnectionClosed, ProcessError, Timeout
from wayhouse.runtime.process import Process

MAX_MESSAGE = 128 * 1024
MAX_FDS = 250


class Request(msgspec.Struct, frozen=True):
    number: int
    target: str
    args: list[Any]
    name: str


class Notice(msgspec.Struct, frozen=True):
    """To the owner: request `number` runs as `pid`, could not because of `text`, or has `ended` with `status`."""

    number: int
    pid: int
    text: str = ""
    ended: bool = False
    status: int = 0


class Spawned:
    """A process that a zygote started; the same words as `Process`."""

    def __init__(self, zygote: Zygote, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.status: int | None = None
        self._zygote = zygote
        self._pidfd = pidfd

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._pidfd)

    def fileno(self) -> int:
        """Can be read from when the process has ended."""
        return self._pidfd

    def kill(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signum)

    def terminate(self) -> None:
        self.kill(signal.SIGTERM)

    def is_alive(self) -> bool:
        return not _readable(self._pidfd, Deadline(0))

    def join(self, timeout: float | None = None) -> int:
        """The exit code, or minus the signal. Raises `Timeout`, or `ProcessError` when the zygote ended before it told."""
        if not _readable(self._pidfd, Deadline(timeout)):
            raise Timeout("timed out")
        return self._zygote.status_of(self)


class Zygote(Process):
    """Start it while the owner is small and has no threads; `preload` names modules to import once for all."""

    def __init__(
        self, preload: Sequence[str] = (), *, proc_name: str = "ave-zygote", logging: bool = False
    ) -> None:
        super().__init__(proc_name=proc_name, logging=logging)
        self._preload = list(preload)
        self._ours, self._its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._nursery = Nursery()
        self._idle = False
        self._leaving = False
        self._number = 0
        self._running: weakref.WeakValueDictionary[int, Spawned] = weakref.WeakValueDictionary()

    def start(self, daemonize: bool = False, synchronize: bool = True) -> None:  # noqa: FBT001, FBT002
        super().start(daemonize=False, synchronize=synchronize)
        self._its.close()

    def spawn(
        self, target: str, args: Sequence[Any] = (), fds: Sequence[int] = (), proc_name: str = "ave-spawned"
    ) -> Spawned:
        """Run `target(*args, *descriptors)`; returns when it is initialized. May be called from any thread.

        Raises `ProcessError` when the function cannot be found or the zygote is gone, `ValueError` for too much.
        """
        with self._lock:
            self._number += 1
            request = codec.encode_json(Request(self._number, target, list(args), proc_name))
            if len(request) > MAX_MESSAGE or len(fds) > MAX_FDS:
                raise ValueError(
                    f"at most {MAX_MESSAGE} bytes of arguments and {MAX_FDS} descriptors can be handed over"
                )
            self._send(request, fds)
            notice, handed = self._receive()
            while notice.number != self._number:
                notice, handed = self._receive()
            if notice.text or not handed:
                raise ProcessError(f"{target} could not be started: {notice.text or 'it ended at once'}")
            spawned = self._running[self._number] = Spawned(self, notice.pid, handed[0])
        return spawned

    def status_of(self, spawned: Spawned) -> int:
        """Of one that has ended."""
        with self._lock:
            while spawned.status is None:
                self._receive()
            return spawned.status

    def close(self) -> None:
        """End it, and all that it started."""
        self._ours.close()
        self._its.close()
        if self._starter == os.getpid():
            self.terminate()
            self.join()

    # ---- in the owner

    def _send(self, data: bytes, fds: Sequence[int]) -> None:
        try:
            socket.send_fds(self._ours, [data], list(fds))
        except OSError as error:
            raise ProcessError("the zygote is gone") from error

    def _receive(self) -> tuple[Notice, list[int]]:
        notice, fds = _take(self._ours, Notice)
        if notice is None:
            raise ProcessError("the zygote is gone")
        if notice.ended and (spawned := self._running.get(notice.number)) is not None:
            spawned.status = notice.status
        return notice, fds

    # ---- in the zygote

    def close_fds(self, exclude: list[int]) -> None:
        super().close_fds([*exclude, self._its.fileno()])

    def initialize(self) -> None:
        super().initialize()
        for name in self._preload:
            importlib.import_module(name)
        gc.collect()
        gc.freeze()  # what is there stays shared: the collector touches it in no child

    def run(self) -> None:
        nursery = self._nursery
        nursery.watch(self._its)
        while True:
            nursery.fork_ahead()
            self._idle = True
            if self._leaving:
                return nursery.close()
            ready = nursery.wait()
            self._idle = False
            for fd in ready:
                if fd != self._its.fileno():
                    nursery.bury(fd)
                elif not self._serve():
                    return nursery.close()

    def _serve(self) -> bool:
        """Do what the owner asks; whether there is one."""
        request, fds = _take(self._its, Request)
        if request is None:
            return False
        try:
            self._nursery.beget(request, fds)
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def handle_SIGTERM(self, signum: int, frame: FrameType | None) -> None:  # noqa: N802 - the manual's name
        """End now, or, amid a fork, after it: the child that waits for work ends first."""
        self._leaving = True
        if self._idle:
            self._nursery.close()
            super().handle_SIGTERM(signum, frame)


class Nursery:
    """The children of a zygote, one of which may still be without work."""

    def __init__(self) -> None:
        self._children: dict[int, Child] = {}
        self._spare: Child | None = None
        self._poller = select.poll()

    def watch(self, owner: socket.socket) -> None:
        """`owner` is the way to the zygote's owner."""
        self._owner = owner
        self._poller.register(owner, select.POLLIN)

    def wait(self) -> list[int]:
        """The descriptors of children that have ended, and that of the owner when it asks."""
        return [fd for fd, _ in self._poller.poll()]

    def fork_ahead(self) -> None:
        """Have a child ready; without room for one, the next `beget` tells."""
        if self._spare is None:
            with contextlib.suppress(OSError):
                self._spare = self._fork()

    def beget(self, request: Request, fds: list[int]) -> None:
        """Let a child do what is asked; if none can be had, the owner is told."""
        spare, self._spare = self._spare, None
        if spare is not None:
            with contextlib.suppress(OSError):  # somebody has killed it
                return spare.begin(request, fds)
        try:
            self._fork().begin(request, fds)
        except OSError as error:
            self._owner.send(codec.encode_json(Notice(request.number, 0, str(error))))

    def bury(self, fd: int) -> None:
        self._poller.unregister(fd)
        child = self._children.pop(fd)
        if child is self._spare:
            self._spare = None
        pid, status = child.pid, child.join()
        if child.number:
            self._owner.send(codec.encode_json(Notice(child.number, pid, ended=True, status=status)))

    def close(self) -> None:
        """End the child without work here, so that nobody inherits it."""
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.kill(signal.SIGKILL)
            spare.join()

    def _fork(self) -> Child:
        child = Child(self._owner)
        child.start()
        self._children[child.fileno()] = child
        self._poller.register(child.fileno(), select.POLLIN)
        return child


class Child(Process):
    """What a zygote forks: it waits for its work."""

    threads_allowed: ClassVar[bool] = False

    def __init__(self, owner: socket.socket) -> None:
        super().__init__(proc_name="ave-spare")
        self.number = 0
        self._owner = owner
        self._ours, self._its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def start(self, daemonize: bool = False, synchronize: bool = False) -> None:  # noqa: FBT001, FBT002
        try:
            super().start(daemonize, synchronize)
        except OSError:
            self._ours.close()
            raise
        finally:
            self._its.close()

    def begin(self, request: Request, fds: list[int]) -> None:
        """Called in the zygote. Raises `OSError` when the child is gone; it is as good as new then."""
        try:
            socket.send_fds(self._ours, [codec.encode_json(request)], fds)
        finally:
            self._ours.close()
        self.number = request.number

    def close_fds(self, exclude: list[int]) -> None:
        super().close_fds([*exclude, self._owner.fileno(), self._its.fileno()])

    def run(self) -> None:
        request, fds = _take(self._its, Request)
        if request is None:
            return
        self._its.close()
        self.proc_name = request.name
        self.set_process_name()
        number, pid = request.number, os.getpid()
        try:
            function = _find(request.target)
        except (ImportError, AttributeError, ValueError) as error:
            self._owner.send(codec.encode_json(Notice(number, pid, f"{type(error).__name__}: {error}")))
            return
        pidfd = os.pidfd_open(pid)
        socket.send_fds(self._owner, [codec.encode_json(Notice(number, pid))], [pidfd])
        os.close(pidfd)
        self._owner.close()
        function(*request.args, *fds)


def _find(target: str) -> Any:
    module, colon, name = target.partition(":")
    if not colon:
        raise ValueError("a target is written package.module:function")
    function: Any = importlib.import_module(module)
    for part in name.split("."):
        function = getattr(function, part)
    return function


def _take(sock: socket.socket, kind: type[Any]) -> tuple[Any, list[int]]:
    """One message and its descriptors; `(None, [])` at the end."""
    try:
        data, fds, _, _ = socket.recv_fds(sock, MAX_MESSAGE, MAX_FDS, socket.MSG_CMSG_CLOEXEC)
    except (ConnectionResetError, ConnectionClosed):
        return None, []
    return (codec.decode_json(data, kind), list(fds)) if data else (None, [])


def _readable(fd: int, deadline: Deadline) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(deadline.left_ms()))
