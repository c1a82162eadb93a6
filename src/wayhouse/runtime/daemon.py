"""`Daemon`: a process without a terminal and without a parent, found again by its pid file.

Called by services that are started and stopped by hand. A subclass gives `run`, and `rerun` for a restart: the new process
begins while the old one still serves, and stops it when it is ready.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from types import FrameType
from typing import IO, Any

from wayhouse.runtime.deadline import Deadline
from wayhouse.runtime.exceptions import Timeout
from wayhouse.runtime.pid_file import PidFile
from wayhouse.runtime.process import Process

STOP_S = 10.0
AGAIN_MS = 500

Stream = IO[Any] | None


class Daemon(Process):
    """`log_file` is a path or an open file for what is logged; the streams are open files, /dev/null unless given."""

    def __init__(
        self,
        pid_path: str,
        log_file: str | IO[Any] | None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> None:
        _demand(isinstance(pid_path, str), "pid_path is not a string")
        _demand(log_file is None or isinstance(log_file, str) or _is_file(log_file), "log_file is not a file")
        for name, stream in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
            _demand(stream is None or _is_file(stream), f"{name} is not a file")
        super().__init__(logging=True)
        self._pid_file = PidFile(os.path.abspath(pid_path))  # noqa: PTH100 - the daemon changes directory
        self._log_file = os.path.abspath(log_file) if isinstance(log_file, str) else log_file  # noqa: PTH100
        self._streams = (stdin, stdout, stderr)

    def start(self, daemonize: bool = True, synchronize: bool = True) -> int:  # type: ignore[override] # noqa: FBT001, FBT002
        """Answers the pid. Raises a bare `Exception` when the pid file is there, `ProcessError` when it does not come up."""
        self._target = self.run
        _demand(not self._pid_file.exists(), f"pid file {self._pid_file.path} exist: stop the daemon first")
        return self._launch()

    def restart(self) -> int:
        """Start `rerun` in a new daemon, which takes the pid file; stopping the old one is up to `rerun`."""
        self._demand_file()
        self._target = self.rerun
        return self._launch()

    def stop(self, timeout: float = STOP_S) -> None:
        """SIGTERM each 0.5 s, after `timeout` seconds SIGKILL; returns when it is gone and removes the pid file.

        A process that does not hold the pid file is not touched. Raises a bare `Exception` for no file, `Timeout`.
        """
        self._demand_file()
        pid = self._pid_file.read()
        with contextlib.suppress(ProcessLookupError):
            if pid and self._pid_file.is_held():
                _end(pid, timeout)
        self._pid_file.remove(pid)

    def get_pid(self) -> int:
        """0 for no file, or one that holds no pid."""
        return self._pid_file.read()

    def run(self) -> None:
        """What the daemon does: given by the subclass."""
        raise TypeError(f"{type(self).__name__} must give run()")

    def rerun(self) -> None:
        """What a daemon does that takes over from another one."""
        raise TypeError(f"{type(self).__name__} must give rerun()")

    def close_fds(self, exclude: list[int]) -> None:
        files = [
            file
            for file in (*self._streams, self._log_file)
            if file is not None and not isinstance(file, str)
        ]
        super().close_fds([*exclude, *(file.fileno() for file in files)])

    def redirect(self) -> None:
        """0, 1 and 2 to the given streams; what is logged goes to the log file."""
        for number, stream in enumerate(self._streams):
            fd = os.open(os.devnull, os.O_RDWR) if stream is None else stream.fileno()
            os.dup2(fd, number)
            if stream is None and fd > 2:
                os.close(fd)
        if isinstance(self._log_file, str):
            self._log_file = open(self._log_file, "a", encoding="utf-8")  # noqa: SIM115, PTH123 - open for life

    def initialize(self) -> None:
        super().initialize()
        self._pid_file.claim()

    def log(self, message: str) -> None:
        file = self._log_file
        if file is None or isinstance(file, str):
            super().log(message)
        else:
            with contextlib.suppress(OSError, ValueError):
                os.write(file.fileno(), self._line(message).encode("utf-8", "replace"))

    def exit(self, code: int) -> None:
        """The pid file goes only if it still names this process."""
        self._pid_file.remove(os.getpid())
        super().exit(code)

    def handle_SIGTERM(self, signum: int, frame: FrameType | None) -> None:  # noqa: N802
        self._pid_file.remove(os.getpid())
        super().handle_SIGTERM(signum, frame)

    def _launch(self) -> int:
        self._forget()
        self._starter = 0
        super().start(daemonize=True, synchronize=True)
        return self.pid

    def _demand_file(self) -> None:
        _demand(self._pid_file.exists(), f"pid file {self._pid_file.path} does not exist")


def _end(pid: int, timeout: float) -> None:
    fd = os.pidfd_open(pid)
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    deadline = Deadline(timeout)
    try:
        while (
            not deadline.passed()
        ):  # again and again: a handler in Python may miss one (see Process.terminate)
            signal.pidfd_send_signal(fd, signal.SIGTERM)
            if poller.poll(min(AGAIN_MS, deadline.left_ms() or 0)):
                return
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        if not poller.poll(STOP_S * 1000):
            raise Timeout(f"process {pid} does not end")
    finally:
        os.close(fd)


def _is_file(thing: object) -> bool:
    try:
        return isinstance(thing.fileno(), int)  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False


def _demand(condition: bool, text: str) -> None:  # noqa: FBT001
    if not condition:
        raise Exception(text)  # noqa: TRY002 - the original's type and text
