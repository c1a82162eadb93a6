"""What a tunnel must know of the IP packets in it: how long they are, from where and to where.

Used by `device.py` and the engine. Rule: a packet is what its own header says; padding behind it is cut, and what is shorter than it says,
or is neither IPv4 nor IPv6, is none.
"""

from __future__ import annotations

IPV4_HEADER = 20
IPV6_HEADER = 40


def length(plain: bytes) -> int:
    """The length of the IP packet at the beginning of `plain`, 0 if there is none."""
    size = len(plain)
    if size >= IPV4_HEADER and plain[0] >> 4 == 4:
        total = plain[2] << 8 | plain[3]
        return total if IPV4_HEADER <= total <= size else 0
    if size >= IPV6_HEADER and plain[0] >> 4 == 6:
        total = IPV6_HEADER + (plain[4] << 8 | plain[5])
        return total if total <= size else 0
    return 0


def trim(plain: bytes) -> bytes | None:
    """The IP packet without its padding; None if it is none."""
    size = length(plain)
    return (plain if size == len(plain) else plain[:size]) if size else None


def source(packet: bytes) -> bytes:
    """4 or 16 bytes; of a packet for which `length` is not 0."""
    return packet[12:16] if packet[0] >> 4 == 4 else packet[8:24]


def destination(packet: bytes) -> bytes:
    return packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]
