from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from wayhouse.overlay.destination import destination


def test_where_packets_go() -> None:
    four = bytes([0x45]) + bytes(15) + bytes([172, 16, 0, 7])
    assert destination(four) == IPv4Address("172.16.0.7")
    six = bytes([0x60]) + bytes(23) + IPv6Address("fd50::7").packed
    assert destination(six) == IPv6Address("fd50::7")


def test_what_wakes_nobody() -> None:
    for last in (b"\xe0\0\0\xfb", b"\xff\xff\xff\xff"):
        assert destination(bytes([0x45]) + bytes(15) + last) is None
    assert destination(bytes([0x60]) + bytes(23) + IPv6Address("ff02::1").packed) is None


@given(st.binary(max_size=60))
def test_any_bytes_go_somewhere_or_nowhere(packet: bytes) -> None:
    destination(packet)
