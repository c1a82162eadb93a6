"""Starting a program: in a session of its own, with nothing of ours open, and with a failed exec reported here.

Called by `cmd`. `on_pipe` leaves the fork to `subprocess`, which does it in C. A controlling terminal needs steps of our own
between fork and exec: only system calls, with signals blocked and the collector off, so threads of this process do no harm.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import signal
import subprocess
import termios
from typing import NoReturn

from wayhouse.runtime.exceptions import RunError

PIPE_BYTES = 1 << 20
_NO_RESET = {signal.SIGKILL, signal.SIGSTOP}


def on_pipe(argv: list[str], cmd: str | list[str], cwd: str) -> tuple[int, int]:
    """`(pid, descriptor to read from)`; standard input is empty. Raises `RunError`."""
    read, write = os.pipe()
    with contextlib.suppress(OSError):  # more than a user may have: the usual size does too
        fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=write,
            cwd=cwd or None,
            start_new_session=True,
        )
    except OSError as error:
        os.close(read)
        raise RunError(cmd, "", _reason(error)) from error
    finally:
        os.close(write)
    process.returncode = 0  # it is waited for by its pid; this object has nothing left to say
    return process.pid, read


def on_terminal(argv: list[str], cmd: str | list[str], cwd: str) -> tuple[int, int]:
    """`(pid, master side of its controlling terminal)`. Raises `RunError`."""
    try:
        master, slave = os.openpty()
    except OSError as error:
        raise RunError(cmd, "", f"no terminal: {_reason(error)}") from error
    told, tell = os.pipe()
    pid = _fork_quietly(slave, tell, argv, cwd)
    os.close(slave)
    os.close(tell)
    with os.fdopen(told, "rb") as report:
        reason = report.read()
    if reason:
        os.waitpid(pid, 0)
        os.close(master)
        raise RunError(cmd, "", reason.decode("utf-8", "replace"))
    return pid, master


def _fork_quietly(slave: int, tell: int, argv: list[str], cwd: str) -> int:
    """Fork with no signal handler and no finalizer able to run in the child."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    collecting = gc.isenabled()
    gc.disable()
    try:
        pid = os.fork()
        if pid == 0:
            _become(slave, tell, argv, cwd, mask)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if collecting:
            gc.enable()


def _become(slave: int, tell: int, argv: list[str], cwd: str, mask: set[int | signal.Signals]) -> NoReturn:
    """The child: never returns into the caller's stack, whatever happens."""
    try:
        os.login_tty(slave)
        report = 3
        os.dup2(tell, report, inheritable=False)
        os.closerange(report + 1, 1 << 20)
        if cwd:
            os.chdir(cwd)
        _default_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted
    except BaseException as error:  # noqa: BLE001 - the border of the child: everything goes to the parent
        reason = _reason(error) if isinstance(error, OSError) else repr(error)
        os.write(3, reason.encode("utf-8", "replace"))
    finally:
        os._exit(127)


def _default_signals() -> None:
    for number in signal.valid_signals() - _NO_RESET:
        if signal.getsignal(number) not in {signal.SIG_DFL, None} or number == signal.SIGPIPE:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)


def _reason(error: OSError | termios.error) -> str:
    name = getattr(error, "filename", None)
    text = getattr(error, "strerror", None) or str(error)
    return f"{text}: {os.fsdecode(name)}" if name else text
