"""Whose UDP socket a datagram of this machine came from, as the kernel says.

Called by `control_socket.py`: UDP carries no credentials, so the socket is looked up by the sender's address (sock_diag(7)), and in /proc where that
is not allowed. Rule: every socket that may have sent it counts, so that nobody hides behind another one's port; none that is found is nobody.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_DONE, _ERROR = 3, 2
_REQUEST_DUMP = 0x301
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI")
_PORTS = struct.Struct("!HH")
_FOUND = struct.Struct("=BBBB")
_UID_AT = 64
"""In `struct inet_diag_msg`: 4 bytes, `struct inet_diag_sockid` of 48, expires, rqueue and wqueue."""
_MESSAGE_BYTES = 72
_BUFFER = 65_536
Place = tuple[str, int]
"""Address and port."""


class SocketOwners:
    """Looks owners up; close it. `owners` is at most two questions to the kernel, some 40 microseconds each."""

    def __init__(self, proc: Path = Path("/proc/net")) -> None:
        self._proc = proc
        self._sock: socket.socket | None = None
        try:
            self._sock = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
            )
            self._sock.settimeout(1.0)
        except OSError as error:
            log.info("the owners of sockets are read from %s: %s", proc, error.strerror)

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def owners(self, sender: Place) -> set[int]:
        """User ids of all sockets that a datagram from `sender` may have come from."""
        address, port = ipaddress.ip_address(sender[0].partition("%")[0]), sender[1]
        return {uid for local, uid in self._sockets(port) if _may_be(local, address)}

    def _sockets(self, port: int) -> list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]]:
        if self._sock is not None:
            try:
                return [
                    found
                    for family in (socket.AF_INET6, socket.AF_INET)
                    for found in self._ask(self._sock, family, port)
                ]
            except OSError as error:
                log.info("the owners of sockets are read from %s: %s", self._proc, error.strerror or error)
                self.close()
        return [found for name in ("udp6", "udp") for found in _read_table(self._proc / name, port)]

    def _ask(
        self, sock: socket.socket, family: int, port: int
    ) -> Iterator[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]]:
        """All UDP sockets of the family with this port. Raises `OSError`."""
        body = _REQUEST.pack(family, socket.IPPROTO_UDP, 0, 0, 0xFFFF_FFFF)
        body += _PORTS.pack(port, 0) + bytes(32) + struct.pack("=III", 0, 0xFFFF_FFFF, 0xFFFF_FFFF)
        sock.send(_HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, port, 0) + body)
        while True:
            data = sock.recv(_BUFFER)
            for kind, serial, message in _messages(data):
                if serial != port:
                    continue
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError("the kernel does not tell of sockets")
                if len(message) >= _MESSAGE_BYTES and _PORTS.unpack_from(message, 4)[0] == port:
                    yield _local(message), int.from_bytes(message[_UID_AT : _UID_AT + 4], sys.byteorder)


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, sequence number and body of each netlink message."""
    place = 0
    while place + _HEADER.size <= len(data):
        length, kind, _, serial, _ = _HEADER.unpack_from(data, place)
        if length < _HEADER.size:
            return
        yield kind, serial, data[place + _HEADER.size : place + length]
        place += (length + 3) & ~3


def _local(message: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    raw = message[8:24]
    if _FOUND.unpack_from(message)[0] == socket.AF_INET:
        return ipaddress.IPv4Address(raw[:4])
    return ipaddress.IPv6Address(raw)


def _may_be(
    local: ipaddress.IPv4Address | ipaddress.IPv6Address,
    sender: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> bool:
    """Whether a socket bound to `local` can send from `sender`. One for IPv6 may send IPv4, too."""
    plain = getattr(local, "ipv4_mapped", None) or local
    if plain == sender:
        return True
    if not plain.is_unspecified:
        return False
    return sender.version == 4 or plain.version == 6


def _read_table(path: Path, port: int) -> Iterator[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]]:
    """The lines of /proc/net/udp and udp6 with this local port."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        try:
            place, _, number = fields[1].partition(":")
            if int(number, 16) == port:
                yield _from_words(bytes.fromhex(place)), int(fields[7])
        except (ValueError, IndexError):
            continue


def _from_words(raw: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Addresses are there as 32-bit words in the machine's own order."""
    words = [raw[place : place + 4] for place in range(0, len(raw), 4)]
    straight = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    if len(straight) not in (4, 16):
        raise ValueError("no address")
    return ipaddress.ip_address(straight)
