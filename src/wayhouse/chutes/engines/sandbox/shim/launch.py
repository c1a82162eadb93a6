"""Starts a program in new namespaces: fork, isolate, become process 1, give up rights, exec.

    shim -> starter (leaves at once) -> process 1 of the new pid namespace -> the service's program

Process 1 reaps, passes signals on, and leaves with the program's exit code, upon which the kernel ends whatever is left
in its pid namespace. It dies with the shim, so that a killed shim leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from wayhouse.chutes.engines.sandbox.shim import kernel, privileges, root

PASSED_SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGQUIT,
)
_SPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS


class LaunchError(Exception):
    """The program was not started; the text says why."""


class Process:
    """Process 1 of a started service, as its parent sees it. `leash` is held open while the parent lives."""

    def __init__(self, pid: int, leash: int) -> None:
        self.pid = pid
        self._leash = leash

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def release(self) -> None:
        os.close(self._leash)


def launch(plan: Mapping[str, Any], output: int, errors: int) -> Process:
    """Start `plan["argv"]` with the two descriptors as its standard output and error.

    Returns when the program was executed. Raises `LaunchError`.
    """
    verdict, tell = os.pipe()
    held, leash = os.pipe()
    numbers, tell_number = os.pipe()
    starter = os.fork()
    if starter == 0:
        for ours in (verdict, leash, numbers):
            os.close(ours)
        run_to_end(tell, lambda: _start(plan, tell, tell_number, held, (output, errors)))
    for theirs in (tell, held, tell_number):
        os.close(theirs)
    os.waitpid(starter, 0)
    number = read_all(numbers)
    if number:
        os.write(leash, b"g")
    fault = read_all(verdict)
    if fault or not number:
        os.close(leash)
        if number:
            os.waitpid(int(number), 0)
        raise LaunchError(fault.decode("utf-8", "replace") or "The sandbox could not be made.")
    return Process(int(number), leash)


def read_all(descriptor: int) -> bytes:
    data = b""
    while chunk := os.read(descriptor, 4096):
        data += chunk
    os.close(descriptor)
    return data


def run_to_end(tell: int, work: Any) -> NoReturn:
    """In a forked child: do `work`, report why it failed, never return into the parent's code."""
    signal.set_wakeup_fd(-1)
    try:
        work()
    except OSError as error:
        os.write(tell, explain(error).encode("utf-8", "replace"))
    except BaseException as error:  # noqa: BLE001 - a forked child must end here, whatever happens
        os.write(tell, f"The sandbox failed: {error!r}".encode("utf-8", "replace"))
    os._exit(127)


def explain(error: OSError) -> str:
    what = f" ({error.filename})" if error.filename else ""
    return f"The sandbox could not be made: {error.strerror}{what}."


def _start(plan: Mapping[str, Any], tell: int, tell_number: int, held: int, streams: tuple[int, int]) -> None:
    """In the starter: namespaces, limits, then process 1."""
    os.setsid()
    join_cgroups(plan["cgroups"])
    _new_namespaces(plan)
    number = os.fork()
    if number:
        os.write(tell_number, str(number).encode())
        os._exit(0)
    os.close(tell_number)
    os.read(held, 1)
    _become_first(plan, tell, held, streams)


def join_cgroups(directories: Sequence[str]) -> None:
    for directory in directories:
        Path(directory, "cgroup.procs").write_text("0", encoding="ascii")


def _new_namespaces(plan: Mapping[str, Any]) -> None:
    if not plan["mapped"]:
        kernel.unshare(_SPACES)
    else:
        outside_uid, outside_gid = os.geteuid(), os.getegid()
        kernel.unshare(_SPACES | kernel.CLONE_NEWUSER)
        map_ids(plan["uid"], outside_uid, outside_gid)
    with contextlib.suppress(OSError):  # hides names only
        kernel.unshare(kernel.CLONE_NEWCGROUP)


def map_ids(inside: int, uid: int, gid: int) -> None:
    """Give this process's new user namespace its one user, `inside`."""
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny", encoding="ascii")
    (own / "uid_map").write_text(f"{inside} {uid} 1", encoding="ascii")
    (own / "gid_map").write_text(f"{inside} {gid} 1", encoding="ascii")


def _become_first(plan: Mapping[str, Any], tell: int, held: int, streams: tuple[int, int]) -> None:
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    _close_others({0, 1, 2, null, tell, held, *streams})
    with contextlib.suppress(OSError):
        socket.sethostname(plan["hostname"])
    root.build(plan["directory"], plan["steps"])
    privileges.limit(plan["limits"])
    privileges.become(plan["uid"], plan["uid"], mapped=plan["mapped"])
    kernel.die_with_parent(signal.SIGKILL)
    if select.select([held], [], [], 0)[0]:
        os._exit(137)  # the shim ended in the meantime
    program = os.fork()
    if program == 0:
        os.setsid()
        execute(plan["argv"], plan["environment"], plan["cwd"], (null, *streams), tell)
    _close_others({held})
    os._exit(_attend(program))


def _close_others(keep: set[int]) -> None:
    """Close all descriptors but these: the shim's sockets on the host are none of the service's business."""
    highest = max(keep) + 1
    for descriptor in range(highest):
        if descriptor not in keep:
            with contextlib.suppress(OSError):
                os.close(descriptor)
    os.closerange(highest, os.sysconf("SC_OPEN_MAX"))


def _attend(program: int) -> int:
    """Process 1's work: pass signals to the program, reap all, return the program's exit code (128 + signal)."""

    def pass_on(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(program, number)

    for number in PASSED_SIGNALS:
        signal.signal(number, pass_on)
    while True:
        pid, status = os.wait()
        if pid == program:
            return exit_code(status)


def exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def execute(
    argv: Sequence[str], environment: Mapping[str, str], cwd: str, streams: tuple[int, int, int], tell: int
) -> NoReturn:
    """Become the program; failing that, write the reason to `tell`."""
    reset_signals()
    for target, source in enumerate(streams):
        os.dup2(source, target, inheritable=True)
    os.umask(0o022)
    try:
        os.chdir(cwd)
        os.execvpe(argv[0], list(argv), dict(environment))  # noqa: S606 - argv is the service's own command
    except OSError as error:
        os.write(tell, _why_not(argv[0], error).encode("utf-8", "replace"))
    except ValueError as error:
        os.write(tell, f"The command cannot be run: {error}".encode())
    os._exit(127)


def reset_signals() -> None:
    """As a program expects them: Python itself ignores some, and programs inherit that."""
    for number in range(1, signal.NSIG):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _why_not(program: str, error: OSError) -> str:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return f"Command not found: {program}"
    if error.errno == errno.EACCES:
        return f"Command may not be executed: {program} (is it a file with the x bit?)"
    if error.errno == errno.ENOEXEC:
        return f"{program} is not a program; a script needs a first line such as #!/bin/sh"
    return f"Command {program} could not be started: {error.strerror}"


def join_network(network: dict[str, Any]) -> None:
    """Join the chute's namespaces; without any (network mode "host") stay where we are."""
    if network.get("user"):
        kernel.join_namespace(network["user"], kernel.CLONE_NEWUSER)
    if network.get("net"):
        kernel.join_namespace(network["net"], kernel.CLONE_NEWNET)


def read_plan(path: Path) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return plan
