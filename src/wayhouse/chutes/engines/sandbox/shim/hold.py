"""Keeps the namespaces of one chute alive where the daemon is not root: a process that only waits.

It owns a user namespace (in which it is root) and a network namespace with a loopback interface; the shims join both.
A child of it runs slirp4netns or pasta, if the host has one, which carries what apps send outwards.
"""

from __future__ import annotations

import contextlib
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


def hold(directory: Path, outward: list[str], answer: int) -> None:
    """`outward`: path of the program that connects the network to the outside, if any. Make the namespaces, write who holds them to `holder.json`, answer "ok", wait for SIGTERM."""
    uid, gid = os.geteuid(), os.getegid()
    connect = prepare_outward(outward[0]) if outward else None
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
    launch.map_ids(0, uid, gid)
    bring_up_loopback()
    allow_low_ports()
    if connect is not None:
        os.write(connect, b"g")
        os.close(connect)
    part = directory / "holder.json.part"
    part.write_text(json.dumps(identity.identify(os.getpid())), encoding="utf-8")
    part.replace(directory / "holder.json")
    os.write(answer, b"ok")
    os.close(answer)
    signal.sigwait({signal.SIGTERM})


def prepare_outward(program: str) -> int:
    """Fork while we are still in the host's namespaces; the child waits for a byte, then becomes `program`."""
    holder = os.getpid()
    waits, tells = os.pipe()
    if os.fork():
        os.close(waits)
        return tells
    os.close(tells)
    kernel.die_with_parent(signal.SIGKILL)
    launch.reset_signals()
    if os.read(waits, 1):
        with contextlib.suppress(OSError):
            os.execv(program, outward_command(program, holder))  # noqa: S606 - found on PATH by the engine
    os._exit(127)


def outward_command(program: str, holder: int) -> list[str]:
    if program.endswith("pasta"):
        closed = [word for option in ("-t", "-u", "-T", "-U") for word in (option, "none")]
        return [program, "--foreground", "--config-net", "--no-map-gw", *closed, str(holder)]
    return [program, "--configure", "--mtu=1500", "--disable-host-loopback", str(holder), "tap0"]


def bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING))


def allow_low_ports() -> None:
    """Ports below 1024 need no rights in this namespace: they are nobody else's."""
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0", encoding="ascii")
