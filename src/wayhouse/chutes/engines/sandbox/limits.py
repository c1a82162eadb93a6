"""Limits for memory, processes and CPU: control groups (version 2 or 1) where we may write them, else resource limits.

As root the groups live at the top of the hierarchy, outside the daemon's own group, so that a service manager that
ends the daemon's group does not end the apps. Otherwise the daemon's own group is used if it is delegated to us.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from wayhouse.chutes.ports import ContainerSpec, Usage

V1_KINDS = ("memory", "pids", "cpu", "cpuacct")
OPEN_FILES = 65536


class Applied(msgspec.Struct, frozen=True):
    """Control groups to join, and resource limits (`RLIMIT_` names in lower case) to set."""

    groups: tuple[str, ...] = ()
    resources: dict[str, int] = {}


class Limits:
    """`base` is the cgroup mount; `instance` keeps two gateways on one machine apart."""

    def __init__(self, instance: str, base: Path = Path("/sys/fs/cgroup")) -> None:
        self._name = f"wayhouse-{instance}"
        self._base = base
        self._parents = self._find()

    @property
    def kinds(self) -> frozenset[str]:
        """What can be limited by control groups here."""
        return frozenset(kind for kinds in self._parents.values() for kind in kinds)

    def apply(self, id: str, spec: ContainerSpec) -> Applied:  # noqa: A002 - the record's own word
        """Make the groups of one container with its limits."""
        groups = []
        for parent, kinds in self._parents.items():
            group = parent / id
            group.mkdir(parents=True, exist_ok=True)
            self._set(group, kinds, spec)
            groups.append(str(group))
        return Applied(tuple(groups), self._resources(spec))

    def for_shims(self) -> list[str]:
        """A group next to the apps' own, where shims live: as root under version 2 that is outside the daemon's service,
        so that stopping the service leaves them alone."""
        if os.geteuid() != 0 or not (self._base / "cgroup.controllers").exists():
            return []
        groups = [parent / "shims" for parent in self._parents]
        return [str(group) for group in groups if _make(group)]

    def drop(self, id: str) -> None:  # noqa: A002
        for parent in self._parents:
            with contextlib.suppress(OSError):
                (parent / id).rmdir()

    def usage(self, id: str) -> Usage | None:  # noqa: A002
        """None where control groups cannot tell."""
        if not {"memory", "pids"} <= self.kinds:
            return None
        values = {"cpu": 0.0, "memory": 0.0, "pids": 0.0}
        for parent in self._parents:
            group = parent / id
            for name, key, scale in _GAUGES:
                value = _read_number(group / name)
                if value is not None:
                    values[key] = max(values[key], value / scale)
            values["cpu"] = max(values["cpu"], _v2_cpu(group))
        return Usage(values["cpu"], int(values["memory"]), int(values["pids"]))

    def _set(self, group: Path, kinds: frozenset[str], spec: ContainerSpec) -> None:
        v2 = (group / "cgroup.controllers").exists()
        values: dict[str, str] = {}
        if "memory" in kinds and spec.memory_bytes:
            names = ("memory.max", "memory.swap.max") if v2 else ("memory.limit_in_bytes",)
            values[names[0]] = str(spec.memory_bytes)
            values.update(dict.fromkeys(names[1:], "0"))
            if not v2:
                values["memory.memsw.limit_in_bytes"] = str(spec.memory_bytes)
        if "pids" in kinds and spec.pids:
            values["pids.max"] = str(spec.pids + 1)  # process 1 of the sandbox is ours
        if "cpu" in kinds and spec.cpu_shares:
            values["cpu.weight" if v2 else "cpu.shares"] = str(
                weight(spec.cpu_shares) if v2 else spec.cpu_shares
            )
        for name, value in values.items():
            with contextlib.suppress(OSError):
                (group / name).write_text(value, encoding="ascii")

    def _resources(self, spec: ContainerSpec) -> dict[str, int]:
        resources = {"core": 0, "nofile": OPEN_FILES}
        if spec.memory_bytes and "memory" not in self.kinds:
            resources["data"] = spec.memory_bytes
        if spec.pids and "pids" not in self.kinds:
            resources["nproc"] = spec.pids
        return resources

    def _find(self) -> dict[Path, frozenset[str]]:
        if (self._base / "cgroup.controllers").exists():
            return self._find_v2()
        found: dict[Path, frozenset[str]] = {}
        for kind in V1_KINDS:
            parent = self._base / kind / self._name
            if (self._base / kind / "cgroup.procs").exists() and _make(parent):
                found[parent] = frozenset({kind})
        return found

    def _find_v2(self) -> dict[Path, frozenset[str]]:
        above = self._base if os.geteuid() == 0 else _delegated(self._base)
        if above is None:
            return {}
        parent = above / self._name
        if not _make(parent):
            return {}
        _enable(above)
        _enable(parent)
        try:
            kinds = (parent / "cgroup.subtree_control").read_text(encoding="ascii").split()
        except OSError:
            return {}
        return {parent: frozenset(kinds) & set(V1_KINDS)}


_GAUGES = (
    ("memory.current", "memory", 1),
    ("memory.usage_in_bytes", "memory", 1),
    ("pids.current", "pids", 1),
    ("cpuacct.usage", "cpu", 1e9),
)


def weight(shares: int) -> int:
    """CPU shares (2..262144, 1024 is usual) as a version 2 weight (1..10000, 100 is usual), as runc converts them."""
    bounded = min(max(shares, 2), 262144)
    return 1 + (bounded - 2) * 9999 // 262142


def _delegated(base: Path) -> Path | None:
    """Our own version 2 group, if we may write it and are alone in it; we move into a leaf to make room."""
    try:
        line = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()[-1]
        own = base / line.partition("::")[2].lstrip("/")
        if own.name == "gateway":
            return own.parent
        present = (own / "cgroup.procs").read_text(encoding="ascii").split()
        if present != [str(os.getpid())]:
            return None
        leaf = own / "gateway"
        leaf.mkdir(exist_ok=True)
        (leaf / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    except (OSError, IndexError):
        return None
    return own


def _make(directory: Path) -> bool:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory / "cgroup.procs", os.W_OK)


def _enable(group: Path) -> None:
    for kind in ("memory", "pids", "cpu"):
        with contextlib.suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"+{kind}", encoding="ascii")


def _read_number(path: Path) -> float | None:
    try:
        return float(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _v2_cpu(group: Path) -> float:
    with contextlib.suppress(OSError, ValueError):
        for line in (group / "cpu.stat").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "usage_usec":
                return int(value) / 1e6
    return 0.0
