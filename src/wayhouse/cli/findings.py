"""Questions about this machine, each answered with ok, warn or fail and with what to do. Asked by `wayhouse check`.

Each takes what it looks at as an argument, so that it can be tried on a folder that only looks like a machine.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from wayhouse.base.settings import Paths
from wayhouse.cli.figures import size

Verdict = Literal["ok", "warn", "fail"]

OLDEST_PYTHON = (3, 11)
LEAST_FREE = 256 * 2**20
LITTLE_FREE = 2 * 2**30
EARLIEST = 1_750_000_000.0
"""A moment before this program was made, in Unix seconds."""
KNOCK_S = 2.0


class Finding(msgspec.Struct, frozen=True):
    """`name` never changes, for programs; `text` says what is, `advice` what to do about it."""

    name: str
    verdict: Verdict
    text: str
    advice: str = ""


def python(version: tuple[int, ...]) -> Finding:
    text = "Python " + ".".join(str(part) for part in version[:3])
    if version[:2] < OLDEST_PYTHON:
        return Finding("python", "fail", text, "Wayhouse needs Python 3.11 or newer.")
    return Finding("python", "ok", text)


def bus(settings: Mapping[str, Any]) -> Finding | None:
    """Whether the bus is open to the network, by the gateway's settings; None where they do not say."""
    from wayhouse.bus.processes import is_loopback

    address, mechanism = settings.get("bus_address"), settings.get("bus_mechanism")
    if not isinstance(address, str):
        return None
    text = f"The bus listens on {address} (mechanism: {mechanism})."
    if is_loopback(address) or mechanism == "curve":
        return Finding("bus", "ok", text)
    whoever = (
        "Whoever reaches it may do everything there."
        if mechanism == "none"
        else "Passwords can be read by whoever listens in."
    )
    return Finding(
        "bus",
        "warn",
        text,
        f"{whoever} Set bus.mechanism to curve, and let programs in with `wayhouse bus key add`.",
    )


def disk(path: Path) -> Finding:
    """The disk that holds `path`, or will."""
    there = next(one for one in (path, *path.parents) if one.exists())
    free = shutil.disk_usage(there).free
    text = f"{size(free)} free for {path}"
    if free < LEAST_FREE:
        return Finding(
            "disk", "fail", text, "Apps are not installed with less than 256 MiB. Free some space."
        )
    if free < LITTLE_FREE:
        return Finding("disk", "warn", text, "Images of apps are large; free some space.")
    return Finding("disk", "ok", text)


def clock(now: float, synchronized: bool | None) -> Finding:
    """`synchronized`: None where nobody knows."""
    if now < EARLIEST:
        return Finding(
            "clock",
            "fail",
            "The clock is far behind.",
            "Set the time: sessions and certificates depend on it.",
        )
    if synchronized is False:
        return Finding(
            "clock",
            "warn",
            "The clock is not kept right.",
            "Turn time synchronisation on: timedatectl set-ntp true",
        )
    return Finding("clock", "ok", "The clock is right." if synchronized else "The clock is plausible.")


def is_synchronized() -> bool | None:
    """What systemd says; None without systemd."""
    try:
        answer = subprocess.run(
            ["timedatectl", "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return {"yes": True, "no": False}.get(answer)


def data_folder(paths: Paths) -> Finding:
    """Whether the gateway can keep its state there, and keep it to itself."""
    path = paths.data
    if not path.exists():
        above = next(one for one in path.parents if one.exists())
        if os.access(above, os.W_OK | os.X_OK):
            return Finding("data", "ok", f"{path} will be made at the first start.")
        return Finding("data", "fail", f"{path} cannot be made.", "Start as root, or use --data DIR.")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            "data",
            "warn",
            f"{path} is not yours.",
            "Use sudo to look closer, or --data DIR for your own gateway.",
        )
    keys = paths.config / "keys"
    open_to_all = [one for one in (path, keys) if one.exists() and one.stat().st_mode & stat.S_IWOTH]
    if open_to_all:
        return Finding(
            "data", "fail", f"Everybody may write to {open_to_all[0]}.", f"chmod o-w {open_to_all[0]}"
        )
    if keys.exists() and keys.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) & ~stat.S_IXOTH & ~stat.S_IXGRP:
        return Finding("data", "warn", f"Others may read {keys}.", f"chmod 700 {keys}")
    return Finding("data", "ok", f"{path} can be written.")


def port(host: str, number: int, *, is_running: bool) -> Finding:
    """Whether the gateway answers at its port, or could be started on it."""
    text = f"{host}:{number}"
    if is_running:
        try:
            socket.create_connection((host, number), KNOCK_S).close()
        except OSError:
            return Finding(
                "port",
                "fail",
                f"The gateway does not answer at {text}.",
                "Look for a firewall on this machine.",
            )
        return Finding("port", "ok", f"The gateway answers at {text}.")
    try:
        with socket.create_server((host, number)):
            return Finding("port", "ok", f"{text} is free.")
    except PermissionError:
        return Finding(
            "port", "warn", f"{text} needs root.", "Choose a port above 1023: wayhouse up --listen HOST:PORT"
        )
    except OSError:
        advice = "Stop the program that has it (`ss -ltnp` names it), or choose another: wayhouse up --listen HOST:PORT"
        return Finding("port", "warn", f"{text} is in use.", advice)


def user_namespaces(proc: Path, *, is_root: bool) -> Finding:
    """What the sandbox needs when the gateway does not run as root."""
    name = "user-namespaces"
    if is_root:
        return Finding(name, "ok", "Not needed: the gateway runs as root.")
    switches = {
        "sys/user/max_user_namespaces": ("0", "sysctl user.max_user_namespaces=15000"),
        "sys/kernel/unprivileged_userns_clone": ("0", "sysctl kernel.unprivileged_userns_clone=1"),
        "sys/kernel/apparmor_restrict_unprivileged_userns": (
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    }
    for file, (closed, remedy) in switches.items():
        if _text(proc / file) == closed:
            return Finding(
                name, "warn", "Users may not make namespaces.", f"Without Docker, apps need it: sudo {remedy}"
            )
    if not (proc / "self/ns/user").exists():
        return Finding(
            name, "warn", "This kernel has no user namespaces.", "Run the gateway as root, or install Docker."
        )
    return Finding(name, "ok", "Users may make namespaces.")


def control_groups(root: Path) -> Finding:
    """Whether apps can be limited as a whole."""
    name = "cgroups"
    if (root / "cgroup.controllers").exists():
        missing = {"memory", "pids", "cpu"} - set((_text(root / "cgroup.controllers") or "").split())
        if missing:
            return Finding(
                name,
                "warn",
                f"Version 2 without {', '.join(sorted(missing))}.",
                "Turn them on in the kernel's command line.",
            )
        return Finding(name, "ok", "Version 2.")
    if (root / "memory").is_dir():
        return Finding(name, "ok", "Version 1.")
    return Finding(
        name, "warn", "No control groups.", "Apps cannot be limited as a whole: mount /sys/fs/cgroup."
    )


def programs(which: Callable[[str], str | None]) -> Finding:
    """What the sandbox uses to connect apps."""
    packages = {"ip": "iproute2", "nft": "nftables"}
    missing = [package for program, package in packages.items() if which(program) is None]
    if missing:
        advice = f"Without Docker, apps need it for their network: apt install {' '.join(missing)}"
        return Finding("programs", "warn", f"Missing: {', '.join(missing)}.", advice)
    return Finding("programs", "ok", "ip and nft are there.")


def docker(sockets: Iterable[str], ask: Callable[[str], Mapping[str, object]]) -> Finding:
    """`ask` gives what the engine at a socket says about itself, or raises `OSError`."""
    refused = ""
    for path in sockets:
        if not Path(path).is_socket():
            continue
        try:
            version = ask(path).get("Version", "of unknown version")
        except PermissionError:
            refused = path
        except OSError:
            continue
        else:
            return Finding("docker", "ok", f"{version} at {path}.")
    if refused:
        return Finding(
            "docker",
            "warn",
            f"{refused} is not open to you.",
            "Join its group (usermod -aG docker USER), or use sudo.",
        )
    return Finding(
        "docker",
        "warn",
        "No container engine.",
        "Apps run in Wayhouse's own sandbox. Docker or Podman isolate better.",
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
