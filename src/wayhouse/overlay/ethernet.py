"""The Ethernet frame that controllers expect around a packet: links carry IP packets, so it is made up.

Called by `drivers/control_socket.py`. The addresses are local ones (second bit set): the node's is made from its uid, the destination is the interface's.
"""

from __future__ import annotations

_LOCAL = 0x02
_HEADER = 14
_IP4, _IP6 = b"\x08\x00", b"\x86\xdd"
_DESTINATION = bytes((_LOCAL, 0, 0, 0, 0, 1))


def mac_of(uid: str) -> bytes:
    return bytes((_LOCAL,)) + bytes.fromhex(uid)[:5]


def ethernet_frame(uid: str, packet: bytes) -> bytes:
    kind = _IP6 if packet[:1] and packet[0] >> 4 == 6 else _IP4
    return _DESTINATION + mac_of(uid) + kind + packet


def packet_in(frame: bytes) -> bytes:
    """The IP packet in a frame; nothing if there is none."""
    return frame[_HEADER:] if frame[12:14] in {_IP4, _IP6} else b""
