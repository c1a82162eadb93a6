"""Starting a supervised child: by exec, by fork, or through a zygote, always into the same surroundings.

Called by the driver of supervision; `settle` runs in the child. Rules: the child has the descriptors that it is given and no
others, systemd's way (0, 1, 2, then LISTEN_FDS from 3 on); a failed exec is told to the parent; unless it is to survive,
it is told to end when its parent dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, MutableMapping
from typing import Any, NoReturn

import msgspec

from wayhouse.base.errors import UnavailableError
from wayhouse.runtime.process_table import set_death_signal
from wayhouse.runtime.supervision import limits
from wayhouse.runtime.supervision.child_spec import ChildSpec

FIRST_FD = 3
CANNOT_EXEC = 127
PRIVATE = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "READY_FD",
)
"""What our own manager said to us is not for children."""

_NO_RESET = {signal.SIGKILL, signal.SIGSTOP}


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """The surroundings. Descriptors: -1 leaves `stdout` and `stderr` as they are; `kept` go to 3 and up, `ready` behind."""

    env: dict[str, str] = {}
    cwd: str | None = None
    stdin: int = -1
    stdout: int = -1
    stderr: int = -1
    ready: int = -1
    kept: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    session: bool = True
    parent: int = 0
    """Whose death it is told of; 0: nobody's."""
    ignores: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()
    data_bytes: int | None = None

    def fds(self) -> list[int]:
        return [self.stdin, self.stdout, self.stderr, self.ready, *self.kept]

    def with_fds(self, fds: list[int]) -> Birth:
        stdin, stdout, stderr, ready, *kept = fds
        return replace(self, stdin=stdin, stdout=stdout, stderr=stderr, ready=ready, kept=tuple(kept))


Launcher = Callable[[ChildSpec, Birth], tuple[int, Any]]
"""Answers the pid, and what knows the status if the process is not our child. Raises `UnavailableError`."""

replace = msgspec.structs.replace


def by_exec(command: tuple[str, ...], birth: Birth) -> int:
    """The pid. Raises `UnavailableError` when it cannot be started."""
    told, tell = os.pipe()

    def child(mask: set[int | signal.Signals]) -> NoReturn:
        _become(command, birth, tell, mask)

    try:
        pid = _fork_quietly(child)
    except OSError as error:
        os.close(told)
        raise UnavailableError(f"no process: {error.strerror}") from error
    finally:
        os.close(tell)
    with open(told, "rb") as report:  # noqa: PTH123
        reason = report.read()
    if reason:
        os.waitpid(pid, 0)
        raise UnavailableError(reason.decode("utf-8", "replace"))
    return pid


def by_fork(function: Callable[..., Any], spec: ChildSpec, birth: Birth) -> int:
    """The pid. Raises `UnavailableError` when there are threads, or no process."""
    from wayhouse.runtime.exceptions import ProcessError
    from wayhouse.runtime.supervision.forked_child import ForkedChild

    process = ForkedChild(function, spec.args, birth, spec.name)
    try:
        process.start()
    except ProcessError as error:
        raise UnavailableError(str(error)) from error
    except OSError as error:
        raise UnavailableError(f"no process: {error.strerror}") from error
    return process.pid


def by_zygote(zygote: Any, spec: ChildSpec, birth: Birth) -> tuple[int, Any]:
    """`(pid, Spawned)`. Raises `UnavailableError` when the zygote is gone or refuses."""
    from wayhouse.runtime.exceptions import ProcessError

    fds = birth.fds()
    plain = msgspec.to_builtins(birth.with_fds([-1, -1, -1, -1]))
    plain["present"] = [fd >= 0 for fd in fds]
    args = [plain, spec.target, list(spec.args)]
    given = [fd for fd in fds if fd >= 0]
    try:
        spawned = zygote.spawn("wayhouse.runtime.supervision.child_main:begin", args, given, spec.name)
    except (ProcessError, ValueError, TypeError) as error:
        raise UnavailableError(str(error)) from error
    return spawned.pid, spawned


def status_of(spawned: Any) -> int | None:
    """Of one that has ended; None when the zygote cannot tell any more."""
    from wayhouse.runtime.exceptions import ProcessError

    try:
        return int(spawned.join())
    except ProcessError:
        return None


def launcher(zygote: Any = None) -> Launcher:
    """How children are started: commands by exec, functions through the zygote, else by fork, else as programs."""

    def launch(spec: ChildSpec, birth: Birth) -> tuple[int, Any]:
        if spec.command:
            return by_exec(spec.command, birth), None
        if callable(spec.target):
            return by_fork(spec.target, spec, birth), None
        if zygote is not None and not spec.survives:
            return by_zygote(zygote, spec, replace(birth, parent=0))
        if spec.survives or threading.active_count() > 1:
            return by_exec(python_command(str(spec.target), spec.args), birth), None
        return by_fork(named(str(spec.target)), spec, birth), None

    return launch


def settle(birth: Birth, environ: MutableMapping[str, str], report: int = -1) -> int:
    """In the child: take up the surroundings. Answers where the descriptor `report` is now. Raises `OSError`."""
    if birth.session:
        os.setsid()
    if birth.parent:
        _follow(birth.parent)
    limits.join(birth.groups)
    if birth.data_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (birth.data_bytes, birth.data_bytes))
    for number in birth.ignores:
        signal.signal(number, signal.SIG_IGN)
    if birth.cwd:
        os.chdir(birth.cwd)
    at, report = _place(birth, report)
    for name in PRIVATE:
        environ.pop(name, None)
    environ.update(birth.env)
    if birth.kept:
        count, names = str(len(birth.kept)), ":".join(birth.names)
        environ.update({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count, "LISTEN_FDNAMES": names})
    if birth.ready >= 0:
        environ["READY_FD"] = str(at)
    return report


def default_signals() -> None:
    """No handler of the parent is left, and what Python ignores is not ignored by programs."""
    for number in signal.valid_signals() - _NO_RESET:
        ignored = number in {signal.SIGPIPE, signal.SIGXFSZ}
        if ignored or signal.getsignal(number) not in {signal.SIG_DFL, signal.SIG_IGN, None}:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)


def _place(birth: Birth, report: int) -> tuple[int, int]:
    """Put all descriptors in their places and close the others; answers those of READY_FD and of the report."""
    ready_at = FIRST_FD + len(birth.kept)
    report_at = ready_at + (birth.ready >= 0)
    wanted = {0: birth.stdin, 1: birth.stdout, 2: birth.stderr, ready_at: birth.ready}
    wanted.update({FIRST_FD + place: fd for place, fd in enumerate(birth.kept)})
    aside = {
        place: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, report_at + 1)
        for place, fd in wanted.items()
        if fd >= 0
    }
    far = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, report_at + 1) if report >= 0 else -1
    for place, fd in aside.items():
        os.dup2(fd, place)
    if far >= 0:
        os.dup2(far, report_at, inheritable=False)
    os.closerange(report_at + (far >= 0), 1 << 20)
    return ready_at, report_at if far >= 0 else -1


def _follow(parent: int) -> None:
    set_death_signal(signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def _fork_quietly(child: Callable[[set[int | signal.Signals]], NoReturn]) -> int:
    """Fork with no signal handler and no finalizer able to run in the child, which only makes system calls; so threads of
    this process do no harm."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    collecting = gc.isenabled()
    gc.disable()
    try:
        pid = os.fork()
        if pid == 0:
            child(mask)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if collecting:
            gc.enable()


def _become(command: tuple[str, ...], birth: Birth, tell: int, mask: set[int | signal.Signals]) -> NoReturn:
    """The child: never returns into the caller's stack, whatever happens."""
    try:
        environ = dict(os.environ)
        tell = settle(birth, environ, tell)
        default_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execvpe(command[0], command, environ)  # noqa: S606 - no shell is wanted
    except BaseException as error:  # noqa: BLE001 - the border of the child: everything goes to the parent
        os.write(tell, _reason(error, command[0]).encode("utf-8", "replace"))
    finally:
        os._exit(CANNOT_EXEC)


def _reason(error: BaseException, program: str) -> str:
    if isinstance(error, OSError):
        return f"{os.fsdecode(error.filename or program)}: {error.strerror or error}"
    return repr(error)


def named(target: str) -> Callable[..., None]:
    """A function that is looked for in the child, so that its module is loaded there alone."""

    def call(*args: Any) -> None:
        from wayhouse.runtime.supervision.child_main import find

        find(target)(*args)

    return call


def python_command(target: str, args: tuple[Any, ...]) -> tuple[str, ...]:
    """A function as a program of its own: for where no fork is possible. Raises `UnavailableError` for no JSON."""
    try:
        text = msgspec.json.encode(args).decode()
    except (TypeError, ValueError) as error:
        raise UnavailableError(f"the arguments of {target} are not JSON: {error}") from error
    return (sys.executable, "-m", "wayhouse.runtime.supervision.child_main", target, text)
