"""Runs one command inside a running container, with the same rights as the container's own program.

Used for `execute` (health checks). On SIGTERM, which the engine sends when time is up, the command's session is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping
from typing import Any

from wayhouse.chutes.engines.sandbox.shim import kernel, launch, privileges

_SPACES = (
    ("user", kernel.CLONE_NEWUSER),
    ("cgroup", kernel.CLONE_NEWCGROUP),
    ("ipc", kernel.CLONE_NEWIPC),
    ("uts", kernel.CLONE_NEWUTS),
    ("net", kernel.CLONE_NEWNET),
    ("pid", kernel.CLONE_NEWPID),
    ("mnt", kernel.CLONE_NEWNS),
)


def enter(plan: Mapping[str, Any], first: int) -> int:
    """Run `plan["argv"]` in the namespaces of process `first`, output here; returns its exit code."""
    null = os.open("/dev/null", os.O_RDONLY)
    launch.join_cgroups(plan["cgroups"])
    join(plan, first)
    verdict, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(verdict)
        launch.run_to_end(tell, lambda: _become(plan, null, tell))
    os.close(tell)
    signal.signal(signal.SIGTERM, lambda _number, _frame: _end(child))
    fault = launch.read_all(verdict)
    if fault:
        os.write(1, fault + b"\n")
    _, status = os.waitpid(child, 0)
    return launch.exit_code(status)


def join(plan: Mapping[str, Any], first: int) -> None:
    """Where nobody is root, the network belongs to the chute's own user namespace: that one has to be joined first."""
    if plan["mapped"]:
        launch.join_network(plan["network"])
    for name, kind in _SPACES:
        if name != ("net" if plan["mapped"] else "user"):
            kernel.join_namespace(f"/proc/{first}/ns/{name}", kind)


def _become(plan: Mapping[str, Any], null: int, tell: int) -> None:
    os.setsid()
    privileges.limit(plan["limits"])
    privileges.become(plan["uid"], plan["uid"], mapped=plan["mapped"])
    kernel.die_with_parent(signal.SIGKILL)
    launch.execute(plan["argv"], plan["environment"], plan["cwd"], (null, 1, 1), tell)


def _end(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
