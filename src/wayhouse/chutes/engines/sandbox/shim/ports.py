"""Opens the published ports of a container on the host and joins them to the service in its network namespace.

`open_all` runs before the shim enters the chute's network namespace, `forward_all` after.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

from wayhouse.chutes.engines.sandbox.shim import forward_tcp, forward_udp
from wayhouse.chutes.engines.sandbox.shim.launch import LaunchError
from wayhouse.chutes.engines.sandbox.shim.loop import Loop

BACKLOG = 512


def open_all(ports: list[dict[str, Any]]) -> list[tuple[dict[str, Any], socket.socket]]:
    """Bind every port. Raises `LaunchError` that names the port in use."""
    opened: list[tuple[dict[str, Any], socket.socket]] = []
    try:
        for port in ports:
            opened.append((port, _open(port["host"], port["protocol"])))  # noqa: PERF401 - closed again on failure
    except LaunchError:
        for _, opened_socket in opened:
            opened_socket.close()
        raise
    return opened


def _open(port: int, protocol: str) -> socket.socket:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    try:
        listener = _bind(socket.AF_INET6, kind, "::", port)
    except OSError as error:
        if error.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}:
            raise _refused(port, protocol, error) from error
        try:
            listener = _bind(socket.AF_INET, kind, "0.0.0.0", port)  # noqa: S104 - publishing is what ports are for
        except OSError as again:
            raise _refused(port, protocol, again) from again
    return listener


def _bind(family: int, kind: int, address: str, port: int) -> socket.socket:
    opened = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == socket.SOCK_STREAM:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
        if kind == socket.SOCK_STREAM:
            opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _refused(port: int, protocol: str, error: OSError) -> LaunchError:
    name = f"Port {port}" if protocol == "tcp" else f"UDP port {port}"
    if error.errno == errno.EADDRINUSE:
        return LaunchError(f"{name} of this machine is already in use.")
    if error.errno == errno.EACCES:
        return LaunchError(f"{name} of this machine needs more rights: take one from 1024 on or run as root.")
    return LaunchError(f"{name} of this machine cannot be opened: {error.strerror}.")


def forward_all(loop: Loop, opened: list[tuple[dict[str, Any], socket.socket]]) -> None:
    for port, listener in opened:
        inner = ("127.0.0.1", port["container"])
        if port["protocol"] == "tcp":
            forward_tcp.Forward(loop, listener, socket.AF_INET, inner)
        else:
            forward_udp.Forward(loop, listener, socket.AF_INET, inner)


def offer_api(loop: Loop, port: int, path: str) -> None:
    """Let 127.0.0.1:`port` in the chute's namespace lead to the daemon's socket for apps.

    All shims of a chute listen there together (SO_REUSEPORT), so it is there as long as one of them is. The daemon
    replaces its socket when it restarts; each connection looks the path up anew.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise LaunchError(
            f"Port {port} inside the app is needed for {Path(path).name}: {error.strerror}."
        ) from error
    forward_tcp.Forward(loop, listener, socket.AF_UNIX, path)
