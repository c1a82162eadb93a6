"""A peer's way that the kernel's WireGuard cannot take by itself: a relay, or none at all. The kernel sends to a socket on loopback, and we carry it on.

Made by `kernel_tunnel.py`, one for each peer. Rule: what cannot be sent is dropped, as a router does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from wayhouse.overlay.ports import Endpoint, UdpEndpoint

HOST = "127.0.0.1"
_READS = 64
_BUFFER_BYTES = 4 << 20


class LoopbackWay:
    """`endpoint` is where what the kernel sends goes on to. Raises `OSError` if there is no socket left."""

    def __init__(self, kernel_port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.endpoint: Endpoint | None = None
        self.dropped = 0
        self._loop = loop
        self._kernel = (HOST, kernel_port)
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._sock.bind((HOST, 0))
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                self._sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        except OSError:
            self._sock.close()
            raise
        self.port = int(self._sock.getsockname()[1])
        loop.add_reader(self._sock, self._readable)

    def deliver(self, datagram: bytes) -> None:
        """To the kernel, which takes this way for the peer's from then on."""
        with contextlib.suppress(OSError):
            self._sock.sendto(datagram, self._kernel)
            return
        self.dropped += 1

    def close(self) -> None:
        self._loop.remove_reader(self._sock)
        self._sock.close()

    def _readable(self) -> None:
        for _ in range(_READS):
            try:
                datagram, source = self._sock.recvfrom(1 << 16)
            except OSError:
                return
            if source == self._kernel:  # anybody on this machine may send here
                self._carry(datagram)

    def _carry(self, datagram: bytes) -> None:
        endpoint = self.endpoint
        if endpoint is None:
            self.dropped += 1
        elif not isinstance(endpoint, UdpEndpoint):
            endpoint.outlet(datagram)
        else:
            self._send(endpoint, datagram)

    def _send(self, endpoint: UdpEndpoint, datagram: bytes) -> None:
        if endpoint.channel is not None:  # RFC 8656 section 12.4
            datagram = endpoint.channel.to_bytes(2) + len(datagram).to_bytes(2) + datagram
        try:
            endpoint.sock.sendto(datagram, endpoint.address)
        except OSError:
            self.dropped += 1
