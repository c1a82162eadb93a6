"""Limits of a child by control groups, version 2 or 1, where we may make them.

Called by the driver of supervision. Rules: what cannot be limited is told, never passed over; a group is removed when its
child has ended, with whatever is left in it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

import msgspec

from wayhouse.runtime.supervision.child_spec import Limits

BASE = "/sys/fs/cgroup"
PERIOD_US = 100_000
LEAST_US = 1_000
_REMOVE_TRIES = 50


class Group(msgspec.Struct, frozen=True):
    """`folders` to join; `missing` what is not limited, because of `reason`."""

    folders: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    reason: str = ""


class ControlGroups:
    """`name` tells the groups of this supervisor from those of others; nothing is made before the first child needs it."""

    def __init__(self, name: str, base: str = BASE) -> None:
        self._name, self._base = name, base
        self._parents: dict[str, frozenset[str]] | None = None
        self._left: set[str] = set()

    def make(self, child: str, limits: Limits) -> Group:
        """The groups of one child, made anew."""
        wanted = _wanted(limits)
        if not wanted:
            return Group()
        if self._parents is None:
            self._parents = self._find()
        folders, done, faults = [], set(), []
        for parent, kinds in self._parents.items():
            if kinds & wanted:
                folder = f"{parent}/{_plain(child)}"
                try:
                    done |= _set_up(folder, kinds & wanted, limits)
                    folders.append(folder)
                except OSError as error:
                    faults.append(f"{folder}: {error.strerror}")
        missing = wanted - done
        why = "; ".join(faults) or f"no control group under {self._base} may be made by this user"
        return Group(tuple(folders), tuple(sorted(missing)), why if missing else "")

    def remove(self, group: Group) -> None:
        """End what is left in it. A group whose last process is still on its way out is removed with a later one."""
        self._left |= set(group.folders)
        self._left = {folder for folder in self._left if not _removed(folder)}

    def close(self) -> None:
        """Remove all that is left, and the parents."""
        for _ in range(_REMOVE_TRIES):
            self.remove(Group())
            if not self._left:
                break
            time.sleep(0.01)
        for parent in self._parents or ():
            with contextlib.suppress(OSError):
                os.rmdir(parent)  # noqa: PTH106 - pathlib is left out of small processes

    def _find(self) -> dict[str, frozenset[str]]:
        """`{folder: what it can limit}`."""
        if os.path.exists(f"{self._base}/cgroup.controllers"):  # noqa: PTH110
            return self._find_v2()
        found = {}
        for kind in ("memory", "cpu", "pids"):
            parent = f"{self._base}/{kind}/{self._name}"
            if os.path.exists(f"{self._base}/{kind}/cgroup.procs") and _make(parent):  # noqa: PTH110
                found[parent] = frozenset({kind})
        return found

    def _find_v2(self) -> dict[str, frozenset[str]]:
        """At the top for root, else in our own group, if it was delegated to us (which needs it without processes)."""
        above = self._base if os.geteuid() == 0 else self._base + _own_group()
        parent = f"{above}/{self._name}"
        if not _make(parent):
            return {}
        for folder in (above, parent):
            for kind in ("memory", "cpu", "pids"):
                with contextlib.suppress(OSError):
                    _write(f"{folder}/cgroup.subtree_control", f"+{kind}")
        try:
            with open(f"{parent}/cgroup.subtree_control", encoding="ascii") as file:  # noqa: PTH123
                return {parent: frozenset(file.read().replace("+", " ").split()) & {"memory", "cpu", "pids"}}
        except OSError:
            return {}


def join(folders: tuple[str, ...]) -> None:
    """Called in the child: it and all that it will start. Raises `OSError`."""
    for folder in folders:
        _write(f"{folder}/cgroup.procs", "0")


def _wanted(limits: Limits) -> frozenset[str]:
    values = {"memory": limits.memory_bytes, "cpu": limits.cpu, "pids": limits.pids}
    return frozenset(kind for kind, value in values.items() if value is not None)


def _set_up(folder: str, kinds: frozenset[str], limits: Limits) -> set[str]:
    """Raises `OSError`. Answers the kinds that are in force."""
    if not _removed(folder):
        raise OSError(16, "it is there from before, and in use")
    os.mkdir(folder)  # noqa: PTH102
    v2 = len(kinds) > 1 or os.path.exists(f"{folder}/cgroup.controllers")  # noqa: PTH110
    done = set()
    for kind in kinds:
        first, *more = _files(kind, limits, v2=v2)
        _write(f"{folder}/{first[0]}", first[1])
        for name, value in more:  # swap may not be accounted for
            with contextlib.suppress(OSError):
                _write(f"{folder}/{name}", value)
        done.add(kind)
    return done


def _files(kind: str, limits: Limits, *, v2: bool) -> list[tuple[str, str]]:
    """`[(file, value)]`, the one that counts first."""
    if kind == "pids":
        return [("pids.max", str(limits.pids))]
    if kind == "memory":
        size = str(limits.memory_bytes)
        if v2:
            return [("memory.max", size), ("memory.swap.max", "0")]
        return [("memory.limit_in_bytes", size), ("memory.memsw.limit_in_bytes", size)]
    quota = max(LEAST_US, int((limits.cpu or 0) * PERIOD_US))
    if v2:
        return [("cpu.max", f"{quota} {PERIOD_US}")]
    return [("cpu.cfs_quota_us", str(quota)), ("cpu.cfs_period_us", str(PERIOD_US))]


def _removed(folder: str) -> bool:
    """Whether there is no such group any more."""
    _kill_all(folder)
    try:
        os.rmdir(folder)  # noqa: PTH106
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _kill_all(folder: str) -> None:
    with contextlib.suppress(OSError):
        if os.path.exists(f"{folder}/cgroup.kill"):  # noqa: PTH110
            return _write(f"{folder}/cgroup.kill", "1")
        with open(f"{folder}/cgroup.procs", encoding="ascii") as file:  # noqa: PTH123
            for pid in map(int, file):
                if (
                    pid > 0
                ):  # 0 stands for a process of another namespace, and for kill(2) it is our own group
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
    return None


def _own_group() -> str:
    try:
        with open("/proc/self/cgroup", encoding="ascii") as file:  # noqa: PTH123
            return next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), "")
    except OSError:
        return ""


def _make(folder: str) -> bool:
    try:
        os.mkdir(folder)  # noqa: PTH102
    except FileExistsError:
        return True
    except OSError:
        return False
    return True


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _plain(name: str) -> str:
    """A name that is a folder's, and no other's."""
    safe = "".join(letter if letter.isalnum() or letter in "-_" else f"%{ord(letter):x}" for letter in name)
    return f"child-{safe}"[:200]
