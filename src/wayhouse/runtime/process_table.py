"""What /proc knows: descriptors, names and children of processes; and what the kernel does for a process on request.

Called by `Process`, by traces and by whoever looks into the tree.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterable

MAX_FD = 1 << 20
"""The kernel gives no higher descriptors (its `fs.nr_open`, unless somebody has raised it)."""
NAME_BYTES = 15
"""The kernel keeps this much of a process's name."""

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def get_children(pid: int) -> list[int]:
    """Direct children, in order of their start; none of a process that is gone."""
    import psutil  # small processes fork faster

    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []


def get_proc_name(pid: int) -> str:
    """At most 15 bytes; "" for a process that is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - small processes
            return file.read().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def set_proc_name(name: str) -> None:
    """Of this process, as `ps` shows it; cut to 15 bytes."""
    _control(_PR_SET_NAME, ctypes.c_char_p(name.encode("utf-8", "replace")[:NAME_BYTES]))


def set_death_signal(number: int) -> None:
    """Be sent `number` when the thread ends that forked this process (0: never). Raises `OSError`."""
    _control(_PR_SET_PDEATHSIG, number)


def adopt_orphans(*, wanted: bool = True) -> None:
    """Processes below this one whose parent ends become its children, to be waited for. Raises `OSError`."""
    _control(_PR_SET_CHILD_SUBREAPER, int(wanted))


def list_fds() -> dict[int, str]:
    """`{descriptor: what it leads to}` of this process."""
    found: dict[int, str] = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names, not paths
        with contextlib.suppress(FileNotFoundError):  # the listing's own descriptor
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
    return found


def close_all_fds(keep: Iterable[int]) -> None:
    """Close everything but 0, 1, 2 and `keep`."""
    begin = 3
    for fd in sorted({fd for fd in keep if fd >= begin}):
        os.closerange(begin, fd)
        begin = fd + 1
    os.closerange(begin, MAX_FD)


def close_private_fds(keep: Iterable[int] = ()) -> None:
    """Close what an exec would close, except 0, 1, 2 and `keep`: what was made inheritable on purpose stays."""
    for fd in list_fds().keys() - {0, 1, 2, *keep}:
        with contextlib.suppress(OSError):
            if not os.get_inheritable(fd):
                os.close(fd)


def _control(what: int, value: int | ctypes.c_char_p) -> None:
    if _prctl(what, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
