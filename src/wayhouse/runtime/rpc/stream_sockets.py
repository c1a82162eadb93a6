"""Making and tuning the stream sockets of this room: addresses, keepalive, no Nagle, no echo to oneself."""

from __future__ import annotations

import socket as sockets
import struct
from typing import NamedTuple

Address = tuple[str, int] | str
LOOPBACK = "127.0.0.1"


class Credentials(NamedTuple):
    """The process at the other end of a UNIX socket as it was when it connected."""

    pid: int
    uid: int
    gid: int


def peer_credentials(sock: sockets.socket) -> Credentials:
    """Who connected, from the kernel (SO_PEERCRED). Raises `ValueError` for a socket that is not a UNIX one."""
    if sock.family != sockets.AF_UNIX:
        raise ValueError("only UNIX sockets know who is on the other end")
    layout = struct.Struct("iII")
    return Credentials(*layout.unpack(sock.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, layout.size)))


def checked_address(address: object) -> Address:
    """Raises a bare `Exception`, as the original does, for what is neither `(host, port)` nor a path."""
    if isinstance(address, str) and address.startswith(("/", "@", "\0")):
        return address
    if not (isinstance(address, tuple) and len(address) == 2 and isinstance(address[0], str)):
        raise Exception(f"the address is not a tuple of host and port: {address!r}")  # noqa: TRY002
    host, port = address
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        raise Exception(f"the port is not a number from 1 to 65535: {port!r}")  # noqa: TRY002
    return host, port


def new_socket(address: Address) -> sockets.socket:
    """Non-blocking, closed on exec."""
    sock = sockets.socket(_family(address), sockets.SOCK_STREAM)
    sock.setblocking(False)
    return sock


def socket_address(address: Address | None) -> Address:
    """As the kernel takes it: '' is the loopback address, "@name" the abstract name."""
    address = checked_address(address)
    if isinstance(address, tuple):
        return (address[0] or LOOPBACK, address[1])
    return "\0" + address[1:] if address.startswith("@") else address


def tune(sock: sockets.socket, keepalive_s: int = 0) -> None:
    """No Nagle (a call costs 44 ms with it); `keepalive_s`: idle time, interval and count of probes."""
    if sock.family == sockets.AF_UNIX:
        return
    sock.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
    if keepalive_s:
        sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
        for option in (sockets.TCP_KEEPIDLE, sockets.TCP_KEEPINTVL, sockets.TCP_KEEPCNT):
            sock.setsockopt(sockets.IPPROTO_TCP, option, keepalive_s)


def connected_to_itself(sock: sockets.socket) -> bool:
    """Whether a TCP socket is connected to itself: the kernel may pick the port that is being tried as its own."""
    return sock.family != sockets.AF_UNIX and sock.getsockname() == sock.getpeername()


def _family(address: Address) -> int:
    if isinstance(address, str):
        return sockets.AF_UNIX
    return sockets.AF_INET6 if ":" in address[0] else sockets.AF_INET
