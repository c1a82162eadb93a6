"""Forking with care. The one place where this room copies a process that goes on running Python.

Rules: only the main thread of a process without other threads may fork, for a lock that another thread holds stays locked
in the copy for ever; no signal handler of the parent runs in the child; nothing buffered is written twice.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import sys
import threading

from wayhouse.runtime.exceptions import ProcessError

HELD_BACK = {signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGINT}


def refuse_threads() -> None:
    """Raises `ProcessError`, which says what to do, when this process is not fit to be forked."""
    if threading.current_thread() is not threading.main_thread():
        raise ProcessError(
            "start processes from the main thread: a child dies with the thread that forked it"
        )
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if others:
        raise ProcessError(
            f"this process runs threads ({', '.join(sorted(others)[:5])}) and must not fork: "
            "start the process earlier, or through a Zygote, or set `threads_allowed` if they hold no lock"
        )


def hold_signals() -> set[int | signal.Signals]:
    """Keep those signals waiting; answers the mask to be set again when handlers are in place."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)


def release_signals(mask: set[int | signal.Signals]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def fork() -> int:
    """os.fork with flushed streams. In the child the collector leaves all that was inherited alone: finalizers of
    copied objects would close descriptors that are somebody else's by now."""
    flush()
    pid = os.fork()
    if pid == 0:
        gc.freeze()
        signal.set_wakeup_fd(-1)
    return pid


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def detach(pid_of_parent: int) -> None:
    """After the second fork of a daemon: return when its parent, which ends at once, is gone."""
    try:
        fd = os.pidfd_open(pid_of_parent)
    except ProcessLookupError:
        return
    try:
        if os.getppid() == pid_of_parent:
            poller = select.poll()
            poller.register(fd, select.POLLIN)
            poller.poll()
    finally:
        os.close(fd)


def reopen_streams() -> None:
    """Let print and tracebacks reach 0, 1 and 2 again where they wrote to a descriptor that is closed by now."""
    for name, fd, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if _leads_to(getattr(sys, name)) != fd:
            stream = open(fd, mode, buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _leads_to(stream: object) -> int:
    try:
        return int(stream.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return -1
