"""The Ethernet frame that controllers expect around a packet: links carry IP packets, so it is made up.

Called by `drivers/control_socket.py`. The addresses are local ones (second bit set): the node's is made from its uid, the destination is the interface's.
"""

from __future__ import annotations

_LOCAL = 0x02
_DESTINATION = bytes((_LOCAL, 0, 0, 0, 0, 1))


def mac_of(uid: str) -> bytes:
    return bytes((_LOCAL,)) + bytes.fromhex(uid)[:5]


def ethernet_frame(uid: str, packet: bytes) -> bytes:
    kind = b"\x86\xdd" if packet[:1] and packet[0] >> 4 == 6 else b"\x08\x00"
    return _DESTINATION + mac_of(uid) + kind + packet
