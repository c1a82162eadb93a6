"""The two UDP sockets of a path, IPv4 and IPv6, bound to no address: they outlive every change of this machine's addresses.

Used by `ice`. Rule: a socket that was lent is read by its borrower alone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from wayhouse.overlay.ice.stun import Host

FAMILIES = {"udp4": socket.AF_INET, "udp6": socket.AF_INET6}
"""By the names of the bases that they are in an agent."""
_READS = 64
"""Datagrams in one turn of the loop."""


def base_of(host: Host) -> str:
    """The socket that reaches this address."""
    return "udp6" if ":" in host[0] else "udp4"


class UdpSockets:
    """`take(base, data, source)` is given each datagram, and `settle` is called after each turn."""

    def __init__(self, take: Callable[[str, bytes, Host], None], settle: Callable[[], None]) -> None:
        self.last_error = ""
        self._take = take
        self._settle = settle
        self._loop = asyncio.get_running_loop()
        self._socks: dict[str, socket.socket] = {}
        self._lent: set[str] = set()

    def open(self, *, use_ipv6: bool) -> list[str]:
        """Gives the bases that there are; a machine may lack a family."""
        for base, family in FAMILIES.items():
            if family == socket.AF_INET6 and not use_ipv6:
                continue
            try:
                self._open(base, family)
            except OSError as error:
                self.last_error = f"there is no socket for {base}: {error.strerror}"
        return list(self._socks)

    def _open(self, base: str, family: socket.AddressFamily) -> None:
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(("", 0))
        except OSError:
            sock.close()
            raise
        self._socks[base] = sock
        self._loop.add_reader(sock, self._readable, base)

    def get(self, base: str) -> socket.socket | None:
        return self._socks.get(base)

    def ports(self) -> dict[bool, int]:
        """By whether they are IPv6."""
        return {base == "udp6": int(sock.getsockname()[1]) for base, sock in self._socks.items()}

    def lend(self, sock: socket.socket) -> str:
        """Reads it no more; gives its base. Raises `ValueError` for a socket that is not of this path."""
        base = next((name for name, own in self._socks.items() if own is sock), None)
        if base is None:
            raise ValueError("this socket is not the path's")
        if base not in self._lent:
            self._lent.add(base)
            self._loop.remove_reader(sock)
        return base

    def send(self, base: str, host: Host, data: bytes) -> None:
        """Or not: a full queue and a missing route are losses like others."""
        try:
            self._socks[base].sendto(data, host)
        except BlockingIOError:
            return
        except OSError as error:
            self.last_error = f"{host[0]} cannot be reached: {error.strerror}"

    def close(self) -> None:
        for base, sock in self._socks.items():
            if base not in self._lent:
                self._loop.remove_reader(sock)
            sock.close()
        self._socks.clear()

    def _readable(self, base: str) -> None:
        for _ in range(_READS):
            sock = self._socks.get(base)
            if sock is None or base in self._lent:
                break
            try:
                data, address = sock.recvfrom(1 << 16)
            except BlockingIOError:
                break
            except OSError:  # an ICMP error that an earlier datagram brought about
                continue
            self._take(base, data, (address[0], address[1]))
        self._settle()
