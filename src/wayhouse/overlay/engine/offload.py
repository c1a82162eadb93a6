"""The header that the kernel puts before each packet of a TUN with IFF_VNET_HDR (virtio 1.2 section 5.1.6), and what it means.

Read by `outgoing`, written by `coalesce`. Rule: fields are in the machine's order, as a TUN has them unless told otherwise.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEAD_SIZE = 10
_HEAD = struct.Struct("=BBHHHH")
_PLACE = struct.Struct("=HH")

NEEDS_CSUM = 1
DATA_VALID = 2
GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4 = 0, 1, 4, 5
GSO_ECN = 0x80

CHECKED_HEAD = _HEAD.pack(DATA_VALID, GSO_NONE, 0, 0, 0, 0)
"""Before a packet whose checksum need not be looked at: it came through a tunnel that proves every byte."""


class OffloadHead(NamedTuple):
    """`start` and `offset` place the checksum; `size` is the payload of each segment, 0 without segmentation."""

    flags: int
    gso: int
    header_length: int
    size: int
    start: int
    offset: int


def read_head(buffer: bytes | bytearray | memoryview) -> OffloadHead:
    """Of the first 10 bytes. Raises `struct.error` if there are fewer."""
    return OffloadHead(*_HEAD.unpack_from(buffer))


def checksum_place(buffer: bytes | bytearray | memoryview) -> tuple[int, int]:
    """Where a checksum that is left to do begins, and how far behind that it is to be put."""
    start, offset = _PLACE.unpack_from(buffer, 6)
    return start, offset


def tcp_head(*, is_ipv4: bool, has_cwr: bool, header_length: int, size: int, start: int) -> bytes:
    """Before a TCP packet that the kernel may cut into segments of `size` bytes of payload."""
    gso = (GSO_TCPV4 if is_ipv4 else GSO_TCPV6) | (GSO_ECN if has_cwr else 0)
    return _HEAD.pack(NEEDS_CSUM, gso, header_length, size, start, 16)
