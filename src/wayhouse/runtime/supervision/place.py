"""The place of one supervised child: the processes and descriptors that are its present incarnation, and what outlasts it.

Called by the driver of supervision alone, which decides; here things are opened and closed.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

from wayhouse.base.errors import ConflictError, UnavailableError
from wayhouse.runtime.supervision import launch
from wayhouse.runtime.supervision.child_output import ChildOutput, Sink, Tail
from wayhouse.runtime.supervision.child_spec import ChildSpec
from wayhouse.runtime.supervision.descriptor_bank import DescriptorBank
from wayhouse.runtime.supervision.limits import Group
from wayhouse.runtime.supervision.notify_socket import NotifySocket

AT_MOST_READY = 64


class Place:
    """`main` is the pid that the child is at present, `elders` those that it was before and that still run: {pid: pidfd}."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.main = self.leader = 0
        self.pidfd = self.ready_fd = -1
        self.elders: dict[int, int] = {}
        self.main_ended = False
        self.status: int | None = None
        self.outputs: list[ChildOutput] = []
        self.tail = Tail()
        self.group = Group()
        self.spawned: Any = None
        self.notify: NotifySocket | None = None
        self.bank: DescriptorBank | None = None

    @property
    def pids(self) -> set[int]:
        return {self.main, *self.elders} - {0}

    def open_lasting(self) -> None:
        """What all incarnations share. Raises `OSError`."""
        if self.spec.speaks and self.notify is None:
            self.notify = NotifySocket()
        if self.spec.bank and self.bank is None:
            self.bank = DescriptorBank(self.spec.bank)

    def begin(self, birth: launch.Birth, how: launch.Launcher, sink: Sink) -> None:
        """Start an incarnation. Raises `UnavailableError`."""
        reading: dict[str, int] = {}
        writing: list[int] = []
        try:
            birth = self._equip(birth, reading, writing)
            self.main, self.spawned = how(self.spec, birth)
            self.leader = self.main
            self.pidfd = os.pidfd_open(self.main) if self.spawned is None else os.dup(self.spawned.fileno())
        except OSError as error:
            self._undo(reading)
            raise UnavailableError(f"no descriptors: {error.strerror}") from error
        except UnavailableError:
            self._undo(reading)
            raise
        finally:
            for fd in writing:
                os.close(fd)
        self._listen(reading, sink)

    def _equip(self, birth: launch.Birth, reading: dict[str, int], writing: list[int]) -> launch.Birth:
        """Open pipes: our ends in `reading`, those of the child in `writing`."""
        fds = {"stdin": -1, "stdout": -1, "stderr": -1, "ready": -1}
        if self.spec.output != "inherit":
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            writing.append(null)
            fds.update(stdin=null, stdout=null, stderr=null)
        names = ("stdout", "stderr") if self.spec.output == "pipe" else ()
        for name in (*names, *(("ready",) if self.spec.readiness == "pipe" else ())):
            reading[name], fds[name] = os.pipe()
            writing.append(fds[name])
        kept = list(self.bank or ())
        return self._named(
            birth.with_fds([*fds.values(), *(fd for _, fd in kept)]), [name for name, _ in kept]
        )

    def _named(self, birth: launch.Birth, names: list[str]) -> launch.Birth:
        env = dict(birth.env)
        if self.notify is not None:
            env["NOTIFY_SOCKET"] = self.notify.address
        if self.spec.watchdog_s is not None:
            env["WATCHDOG_USEC"] = str(int(self.spec.watchdog_s * 1_000_000))
        return launch.replace(birth, env=env, names=tuple(names))

    def _listen(self, reading: dict[str, int], sink: Sink) -> None:
        self.ready_fd = reading.pop("ready", -1)
        if self.ready_fd >= 0:
            os.set_blocking(self.ready_fd, False)
        name = self.spec.name
        self.outputs = [ChildOutput(name, stream, fd, sink) for stream, fd in reading.items()]

    def _undo(self, reading: dict[str, int]) -> None:
        """It was not started, or cannot be watched."""
        for fd in reading.values():
            os.close(fd)
        if self.spawned is not None:
            self.spawned.kill(signal.SIGKILL)
        elif self.main:
            os.kill(self.main, signal.SIGKILL)
            self.reap(self.main)
        self.main = self.leader = 0
        self.spawned = None

    def said_ready(self) -> bool | None:
        """Whether a line came on READY_FD; None when nothing can come any more."""
        try:
            data = os.read(self.ready_fd, AT_MOST_READY)
        except (BlockingIOError, InterruptedError):
            return False
        if not data:
            return None
        return b"\n" in data

    def move(self, pid: int) -> None:
        """`pid` is the child from now on. Raises `ProcessLookupError`."""
        pidfd = self.elders.pop(pid) if pid in self.elders else os.pidfd_open(pid)
        if not self.main_ended:
            self.elders[self.main] = self.pidfd
        else:
            os.close(self.pidfd)
        self.main, self.pidfd, self.main_ended = pid, pidfd, False

    def signal(self, number: int) -> None:
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self.pidfd, number)

    def kill_elders(self) -> None:
        for fd in self.elders.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)

    def kill_session(self) -> None:
        """What the leader started and did not wait for. Called while the leader's pid cannot be anybody else's."""
        if self.spec.own_session:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.leader, signal.SIGKILL)

    def reap(self, pid: int) -> int | None:
        """The status of a process that has ended; None when it was not our child."""
        if self.spawned is not None and pid == self.spawned.pid:
            return launch.status_of(self.spawned)
        try:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:
            return None

    def end(self) -> None:
        """The incarnation is over: all that was its alone is closed."""
        for output in self.outputs:
            output.finish()
        self.outputs = []
        for fd in (self.pidfd, self.ready_fd, *self.elders.values()):
            if fd >= 0:
                os.close(fd)
        self.main = self.leader = 0
        self.pidfd = self.ready_fd = -1
        self.elders, self.main_ended, self.spawned = {}, False, None

    def close(self) -> None:
        """And what outlasts incarnations."""
        if self.notify is not None:
            self.notify.close()
        if self.bank is not None:
            self.bank.close()
        self.notify = self.bank = None

    # ---- moving to another process

    def pack(self) -> tuple[dict[str, Any], list[int]]:
        """(plain data, descriptors, which stay ours). Raises `ConflictError` for a child that dies with this process."""
        if self.main and not self.spec.survives:
            raise ConflictError(f"Child {self.spec.name!r} would end with this process: make it `survives`.")
        fds: list[int] = []

        def add(fd: int) -> int:
            fds.append(fd)
            return len(fds) - 1

        kept = list(self.bank or ())
        state = {
            "main": self.main,
            "pidfd": add(self.pidfd) if self.main else -1,
            "elders": {str(pid): add(fd) for pid, fd in self.elders.items()},
            "outputs": [[one.stream, add(one.fileno()), one.pending] for one in self.outputs],
            "tail": self.tail.lines(),
            "ready": add(self.ready_fd) if self.ready_fd >= 0 else -1,
            "notify": [self.notify.address, add(self.notify.fileno())] if self.notify else None,
            "bank": [[name, add(fd), self.bank.polls(fd)] for name, fd in kept] if self.bank else [],
            "group": [list(self.group.folders), list(self.group.missing)],
        }
        return state, fds

    def unpack(self, state: dict[str, Any], fds: list[int], sink: Sink) -> None:
        """Take over what `pack` gave. Raises `KeyError`, `IndexError`, `TypeError` or `ValueError` for an odd state."""
        self.main = int(state["main"])
        self.pidfd = fds[state["pidfd"]] if self.main else -1
        self.elders = {int(pid): fds[at] for pid, at in state["elders"].items()}
        self.outputs = [
            ChildOutput(self.spec.name, stream, fds[at], sink, pending=pending)
            for stream, at, pending in state["outputs"]
        ]
        for line in state["tail"]:
            self.tail.add(line)
        self.ready_fd = fds[state["ready"]] if state["ready"] >= 0 else -1
        if state["notify"]:
            address, at = state["notify"]
            self.notify = NotifySocket(address, fds[at])
        if state["bank"]:
            self.bank = DescriptorBank(max(self.spec.bank, len(state["bank"])))
            for name, at, poll in state["bank"]:
                self.bank.store(name, [fds[at]], poll=poll)
        folders, missing = state["group"]
        self.group = Group(tuple(folders), tuple(missing))

    def detach(self) -> None:
        """Another process has it now: close our copies."""
        for output in self.outputs:
            output.detach()
        self.outputs = []
        self.end()
        if self.notify is not None:
            self.notify.detach()
            self.notify = None
        self.close()
