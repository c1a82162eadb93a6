"""Other addresses, right checksums."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.overlay.engine import packets
from wayhouse.overlay.engine.readdress import readdress

ADDRESSES = st.binary(min_size=4, max_size=4).map(socket.inet_ntoa)


@settings(max_examples=100, deadline=None)
@given(ADDRESSES, ADDRESSES, ADDRESSES, ADDRESSES, st.binary(max_size=60), st.booleans())
def test_as_if_made_so(source, destination, new_source, new_destination, payload, is_tcp) -> None:
    make = packets.tcp if is_tcp else packets.udp
    packet = bytearray(make(source, destination, payload))
    readdress(memoryview(packet), socket.inet_aton(new_source), socket.inet_aton(new_destination))
    assert packet == packets.summed(bytes(packet))
    assert bytes(packet) == make(new_source, new_destination, payload)


def test_no_checksum_stays_none() -> None:
    packet = bytearray(packets.udp("10.0.0.1", "10.0.0.2", b"x"))
    packet[26:28] = b"\0\0"
    readdress(memoryview(packet), b"\1\2\3\4", b"\5\6\7\x08")
    assert packet[26:28] == b"\0\0"


@pytest.mark.parametrize("fragment", [0x2001, 0x00FF])
def test_a_later_fragment_has_no_transport(fragment) -> None:
    packet = packets.ip("10.0.0.1", "10.0.0.2", 17, b"middle of the data", fragment=fragment)
    changed = bytearray(packet)
    readdress(memoryview(changed), b"\1\2\3\4", b"\5\6\7\x08")
    assert bytes(changed) == packets.ip("1.2.3.4", "5.6.7.8", 17, b"middle of the data", fragment=fragment)


@given(st.binary(max_size=60), st.booleans())
def test_nonsense(data, is_ipv4) -> None:
    packet = bytearray((b"\x45" if is_ipv4 else b"") + data)
    readdress(memoryview(packet), b"\1\2\3\4", b"\5\6\7\x08")
