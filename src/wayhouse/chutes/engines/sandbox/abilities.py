"""What this host cannot isolate, limit or connect, in plain sentences. Said once by `SandboxEngine.info`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from wayhouse.chutes.engines.sandbox import nat


def limits(kinds: frozenset[str], *, api: bool) -> Iterable[str]:
    """`kinds`: what control groups can limit here. `api`: whether apps are meant to reach the gateway's API."""
    root = os.geteuid() == 0
    yield "Apps see 127.0.0.1 as the address of everyone who connects to their published ports."
    yield "Apps use the programs of this machine: system packages that an app asks for are not installed."
    if root and shutil.which("ip") is None:
        yield "Apps cannot be started: install ip (package iproute2)."
    if root and nat.tool() is None:
        yield "No outbound network for apps: install nftables."
    if not root and nat.outward_program() is None:
        yield "No outbound network for apps: install pasta (package passt) or slirp4netns, or run the gateway as root."
    elif not root and not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        yield "No outbound network for apps: this user may not open /dev/net/tun."
    if api and nat.tool() is None:
        yield "Apps cannot reach the gateway's own API at paradrop.io: install nftables."
    if "memory" not in kinds:
        yield "Memory is limited for each process of an app, not for the app as a whole: control groups cannot be written."
    if "pids" not in kinds:
        yield "The number of processes is limited for all apps together: control groups cannot be written."
    if "cpu" not in kinds:
        yield "Apps share the CPU evenly whatever they ask for: control groups cannot be written."
