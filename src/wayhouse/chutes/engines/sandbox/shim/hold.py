"""Keeps the namespaces of one chute alive where the daemon is not root: a process that only waits.

It owns a user namespace (in which it is root) and a network namespace with a loopback interface; the shims join both.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
from pathlib import Path

from wayhouse.chutes.engines.sandbox.shim import identity, kernel, launch

_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41


def hold(directory: Path, answer: int) -> None:
    """Make the namespaces, write who holds them to `holder.json`, answer "ok", wait for SIGTERM."""
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
    launch.map_ids(0, uid, gid)
    bring_up_loopback()
    allow_low_ports()
    part = directory / "holder.json.part"
    part.write_text(json.dumps(identity.identify(os.getpid())), encoding="utf-8")
    part.replace(directory / "holder.json")
    os.write(answer, b"ok")
    os.close(answer)
    signal.sigwait({signal.SIGTERM})


def bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING))


def allow_low_ports() -> None:
    """Ports below 1024 need no rights in this namespace: they are nobody else's."""
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0", encoding="ascii")
