"""Give an IPv4 packet another source and destination, in place, and mend its checksums (RFC 1624). Used by `incoming` for peers that know
this node under an address of their own choice (SocialVPN).

Rule: what is no IPv4 packet stays as it is; so does a checksum that UDP left out.
"""

from __future__ import annotations

from wayhouse.overlay.engine.checksums import TCP, UDP, ones_sum

_CHECKSUM_AT = {TCP: 16, UDP: 6}


def readdress(packet: memoryview, source: bytes, destination: bytes) -> None:
    """`source` and `destination` have 4 bytes each."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return
    start = (packet[0] & 15) * 4
    added = ones_sum(source + destination) - ones_sum(packet[12:20])
    packet[12:20] = source + destination
    _mend(packet, 10, added)
    place = _CHECKSUM_AT.get(packet[9])
    is_first = not (packet[6] & 0x1F or packet[7])
    if place is None or not is_first or start < 20 or start + place + 2 > len(packet):
        return
    at = start + place
    if packet[9] == UDP and not packet[at] and not packet[at + 1]:
        return
    _mend(packet, at, added)
    if packet[9] == UDP and not packet[at] and not packet[at + 1]:
        packet[at : at + 2] = b"\xff\xff"


def _mend(packet: memoryview, at: int, added: int) -> None:
    """HC' = ~(~HC + added), where a sum of zero is 0xFFFF, as there is never nothing to sum."""
    total = (0xFFFF - int.from_bytes(packet[at : at + 2], "big") + added) % 0xFFFF or 0xFFFF
    packet[at : at + 2] = (0xFFFF - total).to_bytes(2, "big")
