"""The service manager's protocol: how the service is, sockets it was given, descriptors kept for it over a restart.

Called by daemons; see sd_notify(3), sd_listen_fds(3) and "File Descriptor Store" of systemd. Each function takes the
environment and does nothing, or finds nothing, without a manager. Rule: the manager being away never fails the service.
"""

from __future__ import annotations

import array
import contextlib
import os
import re
import socket
import time
from collections.abc import Mapping, MutableMapping, Sequence

FIRST_FD = 3
MAX_FDS = 253
_NAME = re.compile(r"[\x21-\x39\x3b-\x7e]{1,255}")  # printable, without ":"

Env = Mapping[str, str]


def notify(state: str, env: Env, fds: Sequence[int] = ()) -> bool:
    """Send `state` (lines of `NAME=value`) to `NOTIFY_SOCKET`, with descriptors; whether a manager got it."""
    address = env.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sock:
        sock.settimeout(5)
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendmsg([state.encode()], rights)
        return True
    return False


def ready(env: Env, status: str = "") -> bool:
    """Started, or done with reloading; `status` is the line that `systemctl status` shows."""
    return notify("READY=1" + (f"\nSTATUS={_line(status)}" if status else ""), env)


def reloading(env: Env) -> bool:
    """Reloading has begun; `ready` ends it. With the time that Type=notify-reload asks for."""
    return notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}", env)


def stopping(env: Env) -> bool:
    return notify("STOPPING=1", env)


def status(env: Env, text: str) -> bool:
    return notify(f"STATUS={_line(text)}", env)


def main_pid(env: Env, pid: int) -> bool:
    """`pid` is the service from now on (after a hot upgrade: the successor)."""
    return notify(f"MAINPID={pid}", env)


def extend_timeout(env: Env, seconds: float) -> bool:
    """Ask for `seconds` more before a start or stop counts as failed."""
    return notify(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}", env)


def watchdog(env: Env) -> bool:
    """A sign of life; to be sent in half of `watchdog_s`."""
    return notify("WATCHDOG=1", env)


def watchdog_s(env: Env) -> float | None:
    """After how many seconds of silence the manager restarts this process; None when it does not watch it."""
    usec, pid = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", "")
    if not _is_count(usec) or int(usec) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 1_000_000


def listen_fds(env: MutableMapping[str, str]) -> list[tuple[str, int]]:
    """`[(name, descriptor)]` of the sockets and stored descriptors that this process was started with.

    They are closed on exec from here on and the variables are removed, so that no child takes them for its own. Names
    default to "unknown", as systemd's do. The caller owns the descriptors.
    """
    pid, count, names = (env.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or not _is_count(count):
        return []
    fds = [fd for fd in range(FIRST_FD, FIRST_FD + min(int(count), 4096)) if _is_open(fd)]
    for fd in fds:
        os.set_inheritable(fd, False)
    given = names.split(":") if names else []
    return [(_at(given, fd - FIRST_FD), fd) for fd in fds]


def store_fds(env: Env, name: str, fds: Sequence[int]) -> bool:
    """Have the manager keep copies of `fds` under `name` (FileDescriptorStoreMax= must allow it); after a crash or a
    restart they come back through `listen_fds`. Raises `ValueError` for a name that cannot be sent."""
    head = f"FDSTORE=1\nFDNAME={_name(name)}"
    return all(notify(head, env, fds[begin : begin + MAX_FDS]) for begin in range(0, len(fds), MAX_FDS))


def drop_fds(env: Env, name: str) -> bool:
    """Have the manager close what it keeps under `name`."""
    return notify(f"FDSTOREREMOVE=1\nFDNAME={_name(name)}", env)


def _line(text: str) -> str:
    """One line, so that no text becomes another message."""
    return " ".join(text.split())


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"a name of stored descriptors is 1 to 255 printable ASCII characters without ':', not {name!r}"
        )
    return name


def _at(names: list[str], place: int) -> str:
    return names[place] if place < len(names) and names[place] else "unknown"


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
