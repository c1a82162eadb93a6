"""The web servers of the daemon and their sockets: opened, waited for, stopped. Called by `life.py`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from pathlib import Path

import psutil

from wayhouse.base.errors import PermanentError, WayhouseError
from wayhouse.base.settings import Paths
from wayhouse.gateway.assemble import Gateway
from wayhouse.gateway.listeners import APPS, Server, server
from wayhouse.gateway.sockets import Sockets

Servers = list[tuple[Server, list[socket.socket]]]

logger = logging.getLogger(__name__)

BRIDGES = ("docker0", "podman0", "cni-podman0")
STOP_LOOKS = 40
LOOK_S = 0.05


def open_servers(
    gateway: Gateway, listening: Sockets, paths: Paths, tls: tuple[Path, Path] | None
) -> Servers:
    """One server, or with TLS two: people's over TLS, the machine's own commands and apps without. Raises `WayhouseError`."""
    web = listening.names()["web"]
    local = [
        listening.unix("local", paths.socket, 0o660),
        listening.unix("apps", paths.runtime / APPS, 0o666),
    ]
    bridge = _bridge_listener(gateway, listening, web)
    if bridge is not None:
        local.append(bridge)
    if tls is None:
        return [(server(gateway.app), [web, *local])]
    return [(server(gateway.app, certificate=tls[0], key=tls[1]), [web]), (server(gateway.app), local)]


async def until_started(servers: list[Server], serving: list[asyncio.Task[None]]) -> None:
    """Raises `PermanentError` when one ends instead."""
    while not all(one.started for one in servers):
        if any(task.done() for task in serving):
            raise PermanentError("The gateway could not begin to serve; its log says why.")
        await asyncio.sleep(0.005)


async def stop(servers: list[Server]) -> None:
    """Let requests end, for a moment."""
    for one in servers:
        one.should_exit = True
    for _ in range(STOP_LOOKS):
        if all(not one.started or not one.server_state.connections for one in servers):
            return
        await asyncio.sleep(LOOK_S)


def _bridge_listener(gateway: Gateway, listening: Sockets, web: socket.socket) -> socket.socket | None:
    """Where containers reach the API when the gateway listens on loopback only: Docker's own bridge."""
    host, port = web.getsockname()[:2]
    if gateway.engine_info.name == "sandbox" or not host.startswith("127."):
        return None
    for name in BRIDGES:
        for address in psutil.net_if_addrs().get(name, ()):
            if address.family == socket.AF_INET:
                with contextlib.suppress(WayhouseError):
                    return listening.tcp("bridge", address.address, port)
    return None
