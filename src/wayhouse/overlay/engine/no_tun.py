"""No interface: what stands in its place when there is to be none (`--no-tun`), so that links can be tried out without being root.

Made by `tunnel.py`. Nothing ever comes out of it; what is written into it goes nowhere, and is counted as not written once its buffer is full.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

_MTU = 1280


class NoTun:
    """See `tun.Tun`."""

    name = ""
    has_uso = False

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.fd = self._near.fileno()
        self.mtu = _MTU

    def configure(self, addresses: Sequence[str], mtu: int) -> None:
        self.mtu = mtu

    def reopen(self) -> bool:
        """It cannot be taken away."""
        return False

    def close(self) -> None:
        self._near.close()
        self._far.close()
        self.fd = -1
