"""Tells systemd how the gateway is (sd_notify: one datagram), when systemd asked to be told."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping


def notify(state: str, env: Mapping[str, str]) -> None:
    """Send `state` ("READY=1", "STOPPING=1") to `NOTIFY_SOCKET`; does nothing without one."""
    address = env.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
    ):
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall(state.encode())
