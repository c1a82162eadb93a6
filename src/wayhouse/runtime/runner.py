"""RasPy's `Runner`: a service as a daemon with the actions start, stop, restart, reload, kill, status and front.

Called by the scripts of services: `sys.exit(MyRunner("host", "service").main())`. Rules: a pid file counts only while its
owner holds it, so a stale one is broken and no stranger gets a signal; SIGTERM ends in order, with exit code 0.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any, ClassVar

from wayhouse.base.errors import WayhouseError
from wayhouse.runtime import persona
from wayhouse.runtime.daemon import Daemon
from wayhouse.runtime.exceptions import ProcessError
from wayhouse.runtime.pid_file import PidFile
from wayhouse.runtime.supervision import executives
from wayhouse.runtime.supervisor import Supervisor

ACTIONS = ("start", "stop", "restart", "reload", "kill", "status", "front")
SHUTDOWN_S = 8
"""How long `app_run` may take to return after `app_shutdown`; then the process ends all the same."""


class RunnerError(WayhouseError):
    """The action was not done; the exit code is 1."""

    code = "runner-failed"
    exit_code: ClassVar[int] = 1


class RunnerInvalidActionError(RunnerError):
    code = "runner-invalid-action"
    exit_code = 2


class RunnerStartFailureError(RunnerError):
    code = "runner-start-failed"


class RunnerStopFailureError(RunnerError):
    code = "runner-stop-failed"


class Options:
    """What the constructor and then the file say; `Supervisor` reads and refreshes it."""

    def __init__(self, hostname: str, service: str, user: str, places: tuple[str, str, str]) -> None:
        log_dir, self.conf_dir, run_dir = places
        self.service = service
        self.conffile_path = f"{self.conf_dir}/{service}.ini"
        section, self.executives = executives.read(self.conffile_path, service)
        self.hostname = section.get("hostname") or hostname or socket.gethostname()
        self.user = section.get("user") or user
        self.log_dir = section.get("log_dir") or log_dir
        self.run_dir = section.get("run_dir") or run_dir
        self.url_autoconf = section.get("url_autoconf", "")

    @property
    def pid_path(self) -> str:
        return f"{self.run_dir}/{self.service}.pid"

    def log_path(self, kind: str) -> str:
        """`kind` is "out" or "err"."""
        return f"{self.log_dir}/{self.service}_{kind}.log"


class Runner:
    """Subclasses override `app_run`, `app_shutdown` and `app_reload`, or give `executives`: {name: factory}."""

    executives: Mapping[str, Callable[..., Any]] = {}

    def __init__(
        self,
        hostname: str = "",
        service: str = "raspy",
        user: str = "",
        log_dir: str = "/var/log",
        conf_dir: str = "/etc",
        run_dir: str = "/var/run",
    ) -> None:
        self.options = Options(hostname, service, user, (log_dir, conf_dir, run_dir))
        self.supervisor: Supervisor | None = None
        self.told_to_stop = False
        """Whether SIGTERM has come; it may come before `app_run` begins."""
        self._pid_file = PidFile(self.options.pid_path)

    # ---- what a service does

    def app_run(self) -> None:
        """Until it is told to stop. Here: the executives that the file names, supervised."""
        self.supervisor = Supervisor(self, executives=self.executives)
        if not self.told_to_stop:  # else it came before there was anything to shut down
            self.supervisor.run(signals={})

    def app_shutdown(self) -> None:
        """Called by the handler of SIGTERM: make `app_run` return."""
        if self.supervisor is not None:
            self.supervisor.shutdown()

    def app_reload(self) -> None:
        """Called by the handler of SIGHUP."""
        if self.supervisor is not None:
            self.supervisor.wish(self.supervisor.reload)

    # ---- actions

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Do the action that `argv[1]` names; answers the exit code."""
        try:
            return self.do_action(sys.argv if argv is None else argv)
        except RunnerError as error:
            sys.stderr.write(f"{error.message}\n")
            return error.exit_code

    def do_action(self, argv: Sequence[str]) -> int:
        """Answers the exit code. Raises `RunnerError`s."""
        if len(argv) != 2 or argv[1] not in ACTIONS:
            program = os.path.basename(argv[0]) if argv else self.options.service  # noqa: PTH119
            raise RunnerInvalidActionError(f"usage: {program} {'|'.join(ACTIONS)}")
        action: Callable[[], int] = getattr(self, argv[1])
        return action()

    def start(self) -> int:
        self._break_stale()
        if self._pid_file.exists():
            raise RunnerStartFailureError(f"{self.options.service} runs already, as {self._pid_file.read()}.")
        try:
            ServiceDaemon(self).start()
        except (ProcessError, OSError) as error:
            raise RunnerStartFailureError(f"{self.options.service} did not start: {error}") from error
        return 0

    def stop(self) -> int:
        self._demand_running("stopped")
        try:
            Daemon(self.options.pid_path, None).stop()
        except (WayhouseError, OSError) as error:
            raise RunnerStopFailureError(f"{self.options.service} did not stop: {error}") from error
        return 0

    def restart(self) -> int:
        self.stop()
        return self.start()

    def reload(self) -> int:
        return self._send(signal.SIGHUP, "reloaded")

    def kill(self) -> int:
        """SIGKILL: nothing is put in order."""
        pid = self._demand_running("killed")
        self._send(signal.SIGKILL, "killed")
        self._pid_file.remove(pid)
        return 0

    def status(self) -> int:
        """0 while it runs, 1 otherwise."""
        pid = self._running()
        sys.stdout.write(f"{self.options.service} {f'runs as {pid}' if pid else 'does not run'}.\n")
        return 0 if pid else 1

    def front(self) -> int:
        """In the foreground: on this terminal, without a fork."""
        self._break_stale()
        if self._pid_file.exists():
            raise RunnerStartFailureError(f"{self.options.service} runs already, as {self._pid_file.read()}.")
        try:
            self._pid_file.claim()
            self.take_signals()
            self.become_user()
            self.serve()
        except OSError as error:
            raise RunnerStartFailureError(f"{self.options.service} did not start: {error}") from error
        finally:
            self._pid_file.remove(os.getpid())
        return 0

    # ---- inside the service

    def take_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGINT, self._on_term)
        signal.signal(signal.SIGHUP, self._on_hangup)
        signal.signal(signal.SIGALRM, _end)

    def serve(self) -> None:
        """`app_run`, unless it was told to stop already."""
        if not self.told_to_stop:
            self.app_run()

    def become_user(self) -> None:
        """Raises `NotFoundError`, `ForbiddenError`."""
        if self.options.user:
            persona.become_user(self.options.user)

    def _on_term(self, _number: int, _frame: FrameType | None) -> None:
        if not self.told_to_stop:
            self.told_to_stop = True
            signal.alarm(SHUTDOWN_S)
            self.app_shutdown()

    def _on_hangup(self, _number: int, _frame: FrameType | None) -> None:
        self.app_reload()

    # ---- outside

    def _running(self) -> int:
        return self._pid_file.read() if self._pid_file.is_held() else 0

    def _break_stale(self) -> None:
        if self._pid_file.exists() and not self._pid_file.is_held():
            with contextlib.suppress(OSError):
                Path(self._pid_file.path).unlink()

    def _demand_running(self, done: str) -> int:
        pid = self._running()
        if not pid:
            raise RunnerStopFailureError(f"{self.options.service} does not run, so it cannot be {done}.")
        return pid

    def _send(self, number: int, done: str) -> int:
        pid = self._demand_running(done)
        try:
            os.kill(pid, number)
        except OSError as error:
            raise RunnerStopFailureError(
                f"{self.options.service} cannot be {done}: {error.strerror}"
            ) from error
        return 0


class ServiceDaemon(Daemon):
    """The process of a runner."""

    def __init__(self, runner: Runner) -> None:
        files = [_append(runner.options.log_path(kind)) for kind in ("out", "err")]
        super().__init__(runner.options.pid_path, files[1], None, *files)
        self._runner = runner
        self._files = files

    def __del__(self) -> None:
        super().__del__()
        for file in getattr(self, "_files", ()):
            file.close()

    def initialize(self) -> None:
        super().initialize()
        self._runner.take_signals()
        try:
            self._runner.become_user()
        except WayhouseError:
            self._pid_file.remove(os.getpid())
            raise

    def run(self) -> None:
        self._runner.serve()


def _append(path: str) -> IO[Any]:
    """Raises `RunnerStartFailureError`."""
    try:
        return Path(path).open("ab", buffering=0)
    except OSError as error:
        raise RunnerStartFailureError(f"{path} cannot be written: {error.strerror}") from error


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
