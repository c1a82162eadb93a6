"""Where an IP packet wants to go. Called by the controller for packets that no peer may get; a packet that is none goes nowhere."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

_IP4_HEADER, _IP6_HEADER = 20, 40


def destination(packet: bytes) -> IPv4Address | IPv6Address | None:
    """None for what is no IP packet, and for multicast and broadcast, which wake nobody."""
    version = packet[0] >> 4 if packet else 0
    found: IPv4Address | IPv6Address
    if version == 4 and len(packet) >= _IP4_HEADER:
        found = IPv4Address(packet[16:20])
    elif version == 6 and len(packet) >= _IP6_HEADER:
        found = IPv6Address(packet[24:40])
    else:
        return None
    return None if found.is_multicast or int(found) == 0xFFFFFFFF else found
