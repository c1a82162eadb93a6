"""What links of old nodes carry: two uids and an Ethernet frame; and what has to be known of such a frame. Pure.

Used by `forwarding.py` and `drivers/tap_tunnel.py`. Rule: whatever bytes come, nothing raises; what is too short to be read is None or False.
"""

from __future__ import annotations

UID_BYTES = 20
HEADER = 2 * UID_BYTES
"""The sender's uid and the receiver's, before each frame."""
ETHERNET = 14
NOBODY = bytes(UID_BYTES)
MAC_BYTES = 6
_IP4, _ARP, _IP6 = b"\x08\x00", b"\x08\x06", b"\x86\xdd"
_ARP_BYTES = 28
_ARP_HEAD = b"\x00\x01\x08\x00\x06\x04"
_ASKS = b"\x00\x01"
_ANSWERS = b"\x00\x02"
_CONTROLLERS = b"\x00ipop"
"""Frames to this address, followed by 3 or 4, are between controllers (ICC)."""
_ICC_KINDS = (3, 4)


def wrap(source: bytes, destination: bytes, frame: bytes) -> bytes:
    """`source` and `destination` are uids of 20 bytes."""
    return source + destination + frame


def unwrap(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Source, destination and frame."""
    if len(data) < HEADER + ETHERNET:
        return None
    return data[:UID_BYTES], data[UID_BYTES:HEADER], data[HEADER:]


def is_ip(frame: bytes) -> bool:
    """Whether there is an IPv4 or IPv6 packet in it, with at least its header."""
    return _addresses(frame) is not None


def source_ip(frame: bytes) -> bytes | None:
    """4 or 16 bytes."""
    found = _addresses(frame)
    return None if found is None else found[0]


def destination_ip(frame: bytes) -> bytes | None:
    found = _addresses(frame)
    return None if found is None else found[1]


def _addresses(frame: bytes) -> tuple[bytes, bytes] | None:
    kind, first = frame[12:14], frame[ETHERNET : ETHERNET + 1]
    if kind == _IP4 and len(frame) >= ETHERNET + 20 and first[0] >> 4 == 4:
        return frame[26:30], frame[30:34]
    if kind == _IP6 and len(frame) >= ETHERNET + 40 and first[0] >> 4 == 6:
        return frame[22:38], frame[38:54]
    return None


def is_for_many(address: bytes) -> bool:
    """IPv4 multicast, and what ends in 255: copied to every peer."""
    return len(address) == 4 and (224 <= address[0] < 240 or address[3] == 255)


def destination_mac(frame: bytes) -> bytes:
    return frame[:MAC_BYTES]


def source_mac(frame: bytes) -> bytes:
    return frame[MAC_BYTES : 2 * MAC_BYTES]


def is_group(mac: bytes) -> bool:
    """Broadcast or multicast."""
    return bool(mac[0] & 1)


def with_destination(frame: bytes, mac: bytes) -> bytes:
    return mac + frame[MAC_BYTES:]


def icc_kind(frame: bytes) -> int | None:
    """3 (control) or 4 (packet) of a frame from one controller to another."""
    is_icc = frame[:5] == _CONTROLLERS and len(frame) >= ETHERNET and frame[5] in _ICC_KINDS
    return frame[5] if is_icc else None


def asked_address(frame: bytes) -> bytes | None:
    """The IPv4 address that an ARP request asks for (RFC 826)."""
    if frame[12:14] != _ARP or len(frame) < ETHERNET + _ARP_BYTES:
        return None
    if frame[14:20] != _ARP_HEAD or frame[20:22] != _ASKS:
        return None
    return frame[38:42]


def arp_answer(request: bytes, mac: bytes) -> bytes:
    """To a request that `asked_address` understands: the address is at `mac`."""
    asker = request[22:32]
    head = asker[:MAC_BYTES] + mac + _ARP + _ARP_HEAD + _ANSWERS
    return head + mac + request[38:42] + asker
