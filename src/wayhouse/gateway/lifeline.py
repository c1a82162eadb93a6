"""How a daemon learns that its keeper has died: by a pidfd, so no message and no polling is needed.

Called by the keeper (`own_mark`) and by the daemon (`keeper_fd`, `keeper_pid`). A first daemon also gets SIGTERM from the kernel; a successor
of a hot upgrade was not started by the keeper and has this alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

KEEPER = "WAYHOUSE_KEEPER"
"""`pid:start time`, so that a pid that is another's by now is not taken for the keeper."""


def own_mark() -> str:
    """Of this process, for the environment of the daemon."""
    return f"{os.getpid()}:{_start_time(os.getpid())}"


def keeper_fd(env: Mapping[str, str]) -> int | None:
    """A descriptor that can be read from when the keeper has ended, which may be at once; None without a keeper.

    The caller owns it.
    """
    pid, start = _mark(env)
    if not pid:
        return None
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return _ended()
    if _start_time(pid) != start:
        os.close(fd)
        return _ended()
    return fd


def keeper_pid(env: Mapping[str, str]) -> int | None:
    """None without a keeper, or when it has ended."""
    pid, start = _mark(env)
    return pid if pid and _start_time(pid) == start else None


def _mark(env: Mapping[str, str]) -> tuple[int, str]:
    pid, colon, start = env.get(KEEPER, "").partition(":")
    if not colon or not (pid.isascii() and pid.isdigit() and len(pid) < 11):
        return 0, ""
    return int(pid), start


def _ended() -> int:
    """The end of something that has ended."""
    read, write = os.pipe()
    os.close(write)
    return read


def _start_time(pid: int) -> str:
    """In clock ticks since the machine started; "" for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - the keeper is small
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""
