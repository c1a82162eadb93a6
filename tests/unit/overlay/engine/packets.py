"""IP packets for tests, and what the engine does, done slowly and plainly: the oracle."""

from __future__ import annotations

import ipaddress
import struct

TCP, UDP = 6, 17


def words_sum(data: bytes) -> int:
    total = 0
    for at in range(0, len(data), 2):
        total += data[at] << 8 | (data[at + 1] if at + 1 < len(data) else 0)
        total = (total & 0xFFFF) + (total >> 16)
    return total


def checksum(data: bytes) -> int:
    return ~words_sum(data) & 0xFFFF


def pseudo(source: bytes, destination: bytes, protocol: int, length: int) -> bytes:
    return source + destination + struct.pack("!IxxxB", length, protocol)


def ip(
    source: str,
    destination: str,
    protocol: int,
    body: bytes,
    *,
    ident: int = 7,
    options: bytes = b"",
    tos: int = 0,
    ttl: int = 64,
    fragment: int = 0x4000,
) -> bytes:
    """`options` are IPv4 options, or whole IPv6 extension headers: (first type, then bytes) is up to the caller."""
    one, two = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    if one.version == 4:
        length = 20 + len(options) + len(body)
        head = struct.pack(
            "!BBHHHBBH", 0x45 + len(options) // 4, tos, length, ident, fragment, ttl, protocol, 0
        )
        head += one.packed + two.packed + options
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body
    head = struct.pack(
        "!IHBB", 6 << 28 | tos << 20, len(options) + len(body), 0 if options else protocol, ttl
    )
    return head + one.packed + two.packed + options + body


def tcp(
    source: str,
    destination: str,
    payload: bytes,
    *,
    ports: tuple[int, int] = (1000, 2000),
    seq: int = 1,
    ack: int = 9,
    flags: int = 0x10,
    window: int = 500,
    options: bytes = b"",
    **more,
) -> bytes:
    head = struct.pack("!HHIIBBHHH", *ports, seq, ack, (5 + len(options) // 4) << 4, flags, window, 0, 0)
    body = head + options + payload
    ends = [ipaddress.ip_address(end).packed for end in (source, destination)]
    total = checksum(pseudo(*ends, TCP, len(body)) + body)
    return ip(source, destination, TCP, body[:16] + struct.pack("!H", total) + body[18:], **more)


def udp(
    source: str, destination: str, payload: bytes, *, ports: tuple[int, int] = (1000, 2000), **more
) -> bytes:
    body = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    ends = [ipaddress.ip_address(end).packed for end in (source, destination)]
    total = checksum(pseudo(*ends, UDP, len(body)) + body) or 0xFFFF
    return ip(source, destination, UDP, body[:6] + struct.pack("!H", total) + body[8:], **more)


def transport_start(packet: bytes) -> int:
    if packet[0] >> 4 == 4:
        return (packet[0] & 15) * 4
    return 40 + ((packet[41] + 1) * 8 if packet[6] == 0 else 0)


def protocol_of(packet: bytes) -> int:
    if packet[0] >> 4 == 4:
        return packet[9]
    return packet[40] if packet[6] == 0 else packet[6]


def summed(packet: bytes) -> bytes:
    """With its checksums made anew."""
    start, protocol = transport_start(packet), protocol_of(packet)
    at = start + (16 if protocol == TCP else 6)
    buffer = bytearray(packet)
    buffer[at : at + 2] = b"\0\0"
    ends = (packet[12:16], packet[16:20]) if packet[0] >> 4 == 4 else (packet[8:24], packet[24:40])
    total = checksum(pseudo(*ends, protocol, len(packet) - start) + bytes(buffer[start:]))
    buffer[at : at + 2] = struct.pack("!H", total or (0xFFFF if protocol == UDP else 0))
    if packet[0] >> 4 == 4:
        buffer[10:12] = b"\0\0"
        buffer[10:12] = struct.pack("!H", checksum(bytes(buffer[:start])))
    return bytes(buffer)


def segments(packet: bytes, size: int) -> list[bytes]:
    """What the kernel's segmentation makes of a packet."""
    start, protocol = transport_start(packet), protocol_of(packet)
    body = start + ((packet[start + 12] >> 4) * 4 if protocol == TCP else 8)
    pieces = [packet[at : at + size] for at in range(body, len(packet), size)]
    made = []
    for number, piece in enumerate(pieces):
        head = bytearray(packet[:body])
        length = body + len(piece)
        if head[0] >> 4 == 4:
            struct.pack_into("!H", head, 2, length)
            struct.pack_into("!H", head, 4, (struct.unpack_from("!H", packet, 4)[0] + number) & 0xFFFF)
        else:
            struct.pack_into("!H", head, 4, length - 40)
        if protocol == UDP:
            struct.pack_into("!H", head, start + 4, length - start)
        else:
            seq = (struct.unpack_from("!I", packet, start + 4)[0] + number * size) & 0xFFFFFFFF
            struct.pack_into("!I", head, start + 4, seq)
            if number:
                head[start + 13] &= 0x7F
            if number != len(pieces) - 1:
                head[start + 13] &= ~0x09
        made.append(summed(bytes(head) + piece))
    return made
