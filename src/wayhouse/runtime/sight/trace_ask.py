"""Asks an armed process for its stacks from outside, also when it is stuck: a signal, and its private file grows.

Called by the daemon for its neighbours and by `wayhouse trace` for a stuck daemon. Rules: nobody is signalled but the very process
that made the file and catches the signal (uid, start time and handler are checked behind a pidfd); two that ask at once take
turns; what was written is taken out of the file, so it never grows.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from wayhouse.base.errors import ForbiddenError, UnavailableError
from wayhouse.runtime import trace
from wayhouse.runtime.deadline import Deadline
from wayhouse.runtime.sight import proc_stat, trace_box

ANSWER_S = 2.0
LOOK_S = 0.01
MAX_BYTES = 512 * 1024
_BIT = 1 << (trace_box.SIGNAL - 1)


class NoTraceError(UnavailableError):
    """The process is not there, not armed, or did not answer in time (stopped, or waiting in the kernel for a device)."""

    code = "no-trace"
    title = "The process cannot be traced"


class NotYoursError(ForbiddenError):
    code = "not-your-process"
    title = "This process is somebody else's"


def collect(directory: Path, pid: int, *, timeout_s: float = ANSWER_S) -> str:
    """The stacks of all threads of `pid`, which is armed in `directory`. Raises `NoTraceError`, `NotYoursError`."""
    deadline = Deadline(timeout_s)
    with _opened(directory / str(pid)) as fd, _held(pid) as handle:
        start = _demand_identity(fd, pid)
        _take_turn(fd, pid, deadline)
        os.ftruncate(fd, start)
        try:
            blocked = _blocking(pid)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, trace_box.SIGNAL)
            if not _is_written(fd, start, pid, blocked, deadline):
                raise _silent(pid)
            return trace.redact(os.pread(fd, MAX_BYTES, start).decode("utf-8", "replace"))
        finally:
            os.ftruncate(fd, start)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        raise _not_yours(path.name) from None
    except OSError:
        raise NoTraceError(f"Process {path.name} has not offered its stacks.") from None
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _held(pid: int) -> Iterator[int]:
    """A handle that means this process for ever, whoever gets its pid later."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        raise NoTraceError(f"Process {pid} is gone.") from None
    try:
        yield handle
    finally:
        os.close(handle)


def _demand_identity(fd: int, pid: int) -> int:
    """Where the text begins in the file. A file that lies about its process would make root signal a stranger."""
    facts = os.fstat(fd)
    data = os.pread(fd, trace_box.HEAD_BYTES, 0)
    head = trace_box.parse_head(data)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1 or head is None or head.pid != pid:
        raise NoTraceError(f"Process {pid} has not offered its stacks.")
    if not head.is_alive:
        raise NoTraceError(f"Process {pid} is gone.")
    status = proc_stat.read_status(pid)
    if set(status.get("Uid", "").split()) != {str(facts.st_uid)}:
        raise NoTraceError(f"The trace file of process {pid} is not its own.")
    if os.geteuid() not in {0, facts.st_uid}:
        raise _not_yours(str(pid))
    if not _mask(status.get("SigCgt", "")) & _BIT:
        raise NoTraceError(f"Process {pid} does not listen for the signal; it would end it.")
    return data.index(b"\n") + 1


def _take_turn(fd: int, pid: int, deadline: Deadline) -> None:
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EACCES} or deadline.passed():
                raise NoTraceError(f"Somebody else is tracing process {pid}. Try again.") from None
        time.sleep(LOOK_S)


def _is_written(fd: int, start: int, pid: int, blocked: set[int], deadline: Deadline) -> bool:
    """Wait until the handler has written and has returned: while it runs, its thread blocks the signal."""
    while not deadline.passed():
        if os.fstat(fd).st_size > start and _blocking(pid) <= blocked:
            return True
        time.sleep(LOOK_S)
    return os.fstat(fd).st_size > start


def _blocking(pid: int) -> set[int]:
    """The threads that block the signal now."""
    threads = proc_stat.list_threads(pid)
    return {tid for tid in threads if _mask(proc_stat.read_status(pid, tid).get("SigBlk", "")) & _BIT}


def _mask(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _silent(pid: int) -> NoTraceError:
    found = proc_stat.read_stat(pid)
    if found is None:
        return NoTraceError(f"Process {pid} ended while it was asked.")
    return NoTraceError(f"Process {pid} did not answer in time (state {found.state}).")


def _not_yours(pid: str) -> NotYoursError:
    return NotYoursError(f"Process {pid} is another user's. Use sudo, or be the user that runs the gateway.")
