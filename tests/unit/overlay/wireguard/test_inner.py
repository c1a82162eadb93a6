"""What is read from the packets in the tunnel."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.wireguard_wire import ipv4, ipv6
from wayhouse.overlay.wireguard import inner


def test_padding_is_cut_by_the_packets_own_length() -> None:
    for packet in (ipv4("10.0.0.1", "10.0.0.2"), ipv6("fd00::1", "fd00::2")):
        assert inner.trim(packet + bytes(11)) == packet
        assert inner.trim(packet) is packet
        assert inner.trim(packet[:-1]) is None


def test_addresses() -> None:
    packet = ipv4("10.0.0.1", "10.0.0.2")
    assert (inner.source(packet), inner.destination(packet)) == (b"\n\0\0\1", b"\n\0\0\2")
    packet = ipv6("fd00::1", "fd00::2")
    assert (inner.source(packet)[-1], inner.destination(packet)[-1]) == (1, 2)


def test_an_ipv4_packet_is_not_shorter_than_its_header() -> None:
    assert inner.trim(b"\x45\0\0\x13" + bytes(16)) is None


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_whatever_was_in_it(plain: bytes) -> None:
    packet = inner.trim(plain)
    if packet is not None:
        assert plain.startswith(packet)
        assert len(inner.source(packet)) == len(inner.destination(packet)) in {4, 16}
