"""`Process`: a function in a process of its own, forked, initialized before `start` returns if wanted, and waited for.

Called by everything that needs a process; `Control` and `Daemon` are subclasses. Rules: a child never returns into its
parent's stack, does not outlive its parent unless it is a daemon, and its exit status is remembered once it is known.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar, NoReturn

from wayhouse.runtime import fork, process_table, trace
from wayhouse.runtime.deadline import Deadline
from wayhouse.runtime.exceptions import (
    ConnectionClosed,
    ProcessError,
    Timeout,
    Unjoinable,
    Unstarted,
    Unwaitable,
)
from wayhouse.runtime.pipe import Pipe

FAILED = 1
FAILED_TO_EXIT = 2


class Process:
    """`target` is `self.run` unless given; `proc_name` is what `ps` shows, of which the kernel keeps 15 bytes.

    Subclasses may override `run`, `close_fds`, `redirect`, `initialize` and `exit`.
    """

    threads_allowed: ClassVar[bool] = False
    """Fork even when there are other threads: only for those whose locks the child never takes."""

    get_children = staticmethod(process_table.get_children)
    get_proc_name = staticmethod(process_table.get_proc_name)
    list_fds = staticmethod(process_table.list_fds)

    def __init__(
        self,
        target: Callable[..., Any] | None = None,
        args: tuple[Any, ...] | None = None,
        logging: bool = False,  # noqa: FBT001, FBT002 - the manual's signature
        proc_name: str | None = None,
    ) -> None:
        target = getattr(self, "run", None) if target is None else target
        _demand(callable(target), "target is not a callable")
        _demand(isinstance(logging, bool), "logging is not a boolean")
        _demand(proc_name is None or isinstance(proc_name, str), "proc_name is not a string")
        self._target: Callable[..., Any] = target  # type: ignore[assignment]  # checked above
        self._args = () if args is None else tuple(args)
        self.logging = logging
        self.proc_name = proc_name or f"ave-{type(self).__name__}"
        self._pid = 0
        self._pidfd = -1
        self._starter = 0
        self._daemonized = False
        self._status: int | None = None

    def __del__(self) -> None:
        self._forget()

    # ---- called by the parent

    def start(self, daemonize: bool = False, synchronize: bool = False) -> None:  # noqa: FBT001, FBT002
        """Fork. `synchronize`: return when the child is initialized, and know a daemon's pid. `daemonize`: no child.

        Raises `ProcessError` when the process was started before, must not be forked (see `fork`), or when the child
        ended before it was initialized.
        """
        if self._starter:
            raise ProcessError("the process was started before: make another one")
        if not self.threads_allowed:
            fork.refuse_threads()
        self._starter, self._daemonized = os.getpid(), daemonize
        pipe = Pipe() if synchronize else None
        mask = fork.hold_signals()
        try:
            pid = fork.fork()
            if pid == 0:
                self._child(pipe, mask)
        finally:
            fork.release_signals(mask)
        self._started(pid)
        if pipe is not None:
            self._synchronize(pipe)

    @property
    def pid(self) -> int:
        """Raises `Unstarted` while it is not known (of a daemon: unless synchronized)."""
        if not self._pid:
            raise Unstarted("process PID is not known")
        return self._pid

    def kill(self, signum: int) -> None:
        """Send a signal; that it is gone already is only logged. Never reaches another process under a reused pid."""
        pid = self.pid
        try:
            if self._starter != os.getpid():  # itself, or somebody who was told of it
                os.kill(pid, signum)
            elif self._pidfd >= 0:
                return signal.pidfd_send_signal(self._pidfd, signum)
        except ProcessLookupError:
            pass
        else:
            if self._starter != os.getpid():
                return None
        return self.log(f"cannot send signal {signum} to {pid}: no such process")

    def terminate(self) -> None:
        """Send SIGTERM. Handlers in Python run between two of its instructions: if the child just then begins a call that
        blocks, it notices with the next signal, so repeat it, or follow it with SIGKILL, when `join` times out."""
        self.kill(signal.SIGTERM)

    def join(self, timeout: float | None = None) -> int:
        """Wait for the end; answers the exit code, or minus the signal that ended it, however often it is asked.

        Raises `Timeout`, `Unstarted`, `Unjoinable` (itself) or `Unwaitable` (a daemon, or somebody else's child).
        """
        self._demand_child()
        if self._status is None:
            if not self._ended(Deadline(timeout)):
                raise Timeout("timed out")
            self._reap()
        assert self._status is not None  # noqa: S101 - _reap sets it or raises
        return self._status

    def join_nohang(self) -> tuple[int, int]:
        """`(pid, status)`, `(0, 0)` while it runs. Raises like `join`."""
        return (self.pid, self.join()) if not self.is_alive() else (0, 0)

    def is_alive(self) -> bool:
        """Whether it still runs; a `join` afterwards has its status. Raises like `join`."""
        self._demand_child()
        return self._status is None and not self._ended(Deadline(0))

    def fileno(self) -> int:
        """A descriptor that can be read from when the process has ended (a pidfd), -1 when there is none."""
        return self._pidfd

    # ---- called by the child

    def close_fds(self, exclude: list[int]) -> None:
        """Close all but 0, 1, 2 and `exclude`; subclasses append what they need and call this."""
        _demand(
            isinstance(exclude, list) and all(isinstance(fd, int) for fd in exclude),
            "exclude is not a list of integers",
        )
        process_table.close_all_fds(exclude)

    def redirect(self) -> None:
        """Lead 0, 1 and 2 elsewhere; nothing here."""

    def initialize(self) -> None:
        self.set_signal_handlers()
        self.set_process_name()

    def set_signal_handlers(self) -> None:
        signal.signal(signal.SIGTERM, self.handle_SIGTERM)
        signal.signal(signal.SIGUSR1, self.handle_SIGUSR1)
        if not self._daemonized:
            self.perform_prctl(signal.SIGTERM)

    def set_process_name(self) -> None:
        process_table.set_proc_name(self.proc_name)

    def perform_prctl(self, death_signal: int = 0) -> None:
        """Be sent `death_signal` when the parent ends, also when it has ended meanwhile."""
        process_table.set_death_signal(death_signal)
        if death_signal and os.getppid() != self._starter:
            os.kill(os.getpid(), death_signal)

    def exit(self, code: int) -> None:
        """The last thing a child does, unless a signal ends it."""
        fork.flush()
        os._exit(code)

    def log(self, message: str) -> None:
        """A line on stderr, only with `logging`."""
        if self.logging:
            with contextlib.suppress(OSError, ValueError, RuntimeError):  # RuntimeError: amid another write
                sys.stderr.write(self._line(message))
                sys.stderr.flush()

    def dump_fds(self) -> None:
        for fd, leads_to in sorted(self.list_fds().items()):
            self.log(f"{fd} -> {leads_to}")

    def handle_SIGTERM(self, signum: int, frame: FrameType | None) -> None:  # noqa: N802
        self.log(f"got signal {signum}")
        os._exit(signum)

    def handle_SIGUSR1(self, signum: int, frame: FrameType | None) -> None:  # noqa: N802
        """Log the stacks of all threads and tasks, and carry on."""
        self.log(trace.dump())

    # ---- inside

    def _line(self, message: str) -> str:
        return f"{time.ctime()} {self.proc_name} {os.getpid()} -- {message}\n"

    def _started(self, pid: int) -> None:
        if self._daemonized:
            os.waitpid(pid, 0)
        else:
            self._pid, self._pidfd = pid, os.pidfd_open(pid)

    def _synchronize(self, pipe: Pipe) -> None:
        pipe.close_writer()
        try:
            pid = pipe.get()
        except ConnectionClosed as error:
            raise ProcessError("the process ended before it was initialized") from error
        finally:
            pipe.close()
        if not isinstance(pid, int):
            raise ProcessError(f"the process could not be initialized: {pid}")
        if self._daemonized:
            self._pid = pid
            with contextlib.suppress(ProcessLookupError):
                self._pidfd = os.pidfd_open(pid)

    def _demand_child(self) -> None:
        if not self._starter:
            raise Unstarted
        if self._pid == os.getpid():
            raise Unjoinable
        if self._daemonized or self._starter != os.getpid():
            raise Unwaitable

    def _ended(self, deadline: Deadline) -> bool:
        poller = select.poll()
        poller.register(self._pidfd, select.POLLIN)
        return bool(poller.poll(deadline.left_ms()))

    def _reap(self) -> None:
        try:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        except ChildProcessError as error:
            raise Unwaitable("somebody else has waited for the process") from error
        self._forget()

    def _forget(self) -> None:
        fd, self._pidfd = getattr(self, "_pidfd", -1), -1
        if fd >= 0 and self._starter == os.getpid():  # in a child the number may be another file's by now
            os.close(fd)

    def _child(self, pipe: Pipe | None, mask: set[int | signal.Signals]) -> NoReturn:
        code = FAILED
        try:
            if self._begin(pipe, mask):
                code = self._perform()
                self.exit(code)
        except SystemExit as error:
            code = _exit_code(error)
        except BaseException:  # noqa: BLE001 - the border of the child: nothing may reach the parent's stack
            self.log(f"Exception in exit():\n{traceback.format_exc()}")
            code = FAILED_TO_EXIT
        finally:
            fork.flush()
            os._exit(code)

    def _begin(self, pipe: Pipe | None, mask: set[int | signal.Signals]) -> bool:
        """Whether the child is initialized; if not, the parent is told why."""
        try:
            if self._daemonized:
                _become_daemon()
            self._pid, self._pidfd = os.getpid(), -1
            self._prepare(pipe, mask)
        except BaseException as error:  # noqa: BLE001 - the same border
            self.log(f"Exception before target():\n{traceback.format_exc()}")
            if pipe is not None:
                pipe.put(f"{type(error).__name__}: {error}")
            return False
        return True

    def _prepare(self, pipe: Pipe | None, mask: set[int | signal.Signals]) -> None:
        self.close_fds([pipe.w] if pipe is not None else [])
        self.redirect()
        fork.reopen_streams()
        self.log("started")
        self.initialize()
        fork.release_signals(mask)
        if pipe is not None:
            pipe.r = -1
            pipe.put(os.getpid())
            pipe.close_writer()

    def _perform(self) -> int:
        try:
            self._target(*self._args)
        except SystemExit as error:
            return _exit_code(error)
        except BaseException:  # noqa: BLE001 - the same border
            self.log(f"Exception in target():\n{traceback.format_exc()}")
            return FAILED
        return 0


def _become_daemon() -> None:
    os.setsid()
    os.chdir("/")
    os.umask(0o022)
    between = os.getpid()
    if os.fork() != 0:
        os._exit(0)
    fork.detach(between)


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else FAILED


def _demand(condition: bool, text: str) -> None:  # noqa: FBT001
    if not condition:
        raise Exception(text)  # noqa: TRY002 - the original's type and text
