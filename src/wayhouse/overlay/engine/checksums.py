"""Internet checksums (RFC 1071), of one packet and of all rows of a matrix at once. Called by `segment` and `coalesce`.

Rule: a sum is kept modulo 65535, where ones' complement addition is plain addition; zero stands for 0xFFFF, as no packet sums to nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
TCP, UDP = 6, 17


def ones_sum(data: bytes | bytearray | memoryview) -> int:
    """The sum of the big-endian 16-bit words modulo 65535; an odd last byte counts as the high one."""
    total = int.from_bytes(data, "big")
    return (total << 8 if len(data) & 1 else total) % 0xFFFF


def inverted(total: int) -> int:
    """The checksum for a sum that is not that of nothing: 0 to 0xFFFE."""
    return 0xFFFE - (total - 1) % 0xFFFF


def udp_inverted(total: int) -> int:
    """The same where 0 means that there is no checksum (RFC 768): 1 to 0xFFFF."""
    return 0xFFFF - total % 0xFFFF


def swapped(total: int) -> int:
    """A sum of little-endian words as one of big-endian words, and back (RFC 1071 section 2 B)."""
    total %= 0xFFFF
    return (total >> 8 | total << 8) & 0xFFFF


def pseudo_sum(header: bytes | bytearray | memoryview, protocol: int, length: int) -> int:
    """Of the addresses of an IPv4 or IPv6 header, the protocol and the transport's length (RFC 9293 section 3.1, RFC 8200 section 8.1)."""
    addresses = header[12:20] if header[0] >> 4 == 4 else header[8:40]
    return ones_sum(addresses) + protocol + length


def row_sums(words: Array) -> Array:
    """Of each row of a matrix of little-endian 32-bit words, as a sum of little-endian 16-bit words."""
    sums: Array = words.sum(axis=1, dtype=np.uint64)
    return sums


def complete(packet: memoryview, start: int, offset: int) -> bool:
    """Finish the checksum that the kernel left to the network card: over `packet[start:]`, into the two bytes at `start + offset`, which
    hold the sum of the pseudo header. False if there is no such place."""
    at = start + offset
    if start < 0 or offset < 0 or at + 2 > len(packet):
        return False
    packet[at : at + 2] = udp_inverted(ones_sum(packet[start:])).to_bytes(2, "big")
    return True
