"""Segments are those that the kernel would make."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.overlay.engine import packets
from wayhouse.overlay.engine.offload import (
    GSO_ECN,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP_L4,
    NEEDS_CSUM,
    OffloadHead,
)
from wayhouse.overlay.engine.rows import Rows
from wayhouse.overlay.engine.segment import plan

ROWS = Rows(16, 1536)
ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}


def cut(packet: bytes, gso: int, size: int) -> list[bytes] | None:
    start = packets.transport_start(packet)
    head = OffloadHead(
        NEEDS_CSUM, gso, 0, size, start, 16 if packets.protocol_of(packet) == packets.TCP else 6
    )
    cutting = plan(memoryview(packet), head)
    if cutting is None:
        return None
    made = []
    for first in range(0, cutting.count, ROWS.count):
        count = min(ROWS.count, cutting.count - first)
        ROWS.flat[:] = 0xA5
        cutting.fill(ROWS, first, count)
        for row in range(count):
            is_last = first + row + 1 == cutting.count
            length = cutting.last_length if is_last else cutting.length
            assert not any(ROWS.span(row, length, (length + 15) // 16 * 16)), "padding is zero"
            made.append(bytes(ROWS.span(row, 0, length)))
    return made


@settings(max_examples=80, deadline=None)
@given(
    version=st.sampled_from([4, 6]),
    payload=st.binary(min_size=1, max_size=5000),
    size=st.integers(1, 1400).filter(lambda size: size >= 60 or size % 7 == 0),
    seq=st.integers(0, 2**32 - 1),
    ident=st.integers(0, 2**16 - 1),
    flags=st.sampled_from([0x10, 0x18, 0x11, 0x90, 0x99, 0x50]),
    options=st.sampled_from([b"", b"\x01\x01\x08\x0a12345678"]),
    ip_options=st.booleans(),
)
def test_tcp(version, payload, size, seq, ident, flags, options, ip_options) -> None:
    extra = (b"\x01" * 4 if version == 4 else bytes([6, 0, 1, 4, 0, 0, 0, 0])) if ip_options else b""
    packet = packets.tcp(*ENDS[version], payload, seq=seq, ident=ident, flags=flags, options=options)
    if extra:
        body = packet[packets.transport_start(packet) :]
        packet = packets.ip(*ENDS[version], packets.TCP, body, ident=ident, options=extra)
    gso = (GSO_TCPV4 if version == 4 else GSO_TCPV6) | (GSO_ECN if flags & 0x80 else 0)
    assert cut(packet, gso, size) == packets.segments(packet, size)


@settings(max_examples=50, deadline=None)
@given(
    version=st.sampled_from([4, 6]),
    payload=st.binary(min_size=1, max_size=5000),
    size=st.integers(100, 1400),
    ident=st.integers(0, 2**16 - 1),
)
def test_udp(version, payload, size, ident) -> None:
    packet = packets.udp(*ENDS[version], payload, ident=ident)
    assert cut(packet, GSO_UDP_L4, size) == packets.segments(packet, size)


@settings(max_examples=100, deadline=None)
@given(
    packet=st.binary(max_size=120),
    lead=st.sampled_from([0x45, 0x46, 0x60, 0x4F, 0]),
    gso=st.sampled_from([GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, 3, 7]),
    size=st.integers(0, 2000),
    start=st.sampled_from([0, 8, 20, 24, 40, 44, 60, 65532]),
)
def test_nonsense_never_raises(packet, lead, gso, size, start) -> None:
    packet = bytes([lead]) + packet
    cutting = plan(memoryview(packet), OffloadHead(1, gso, 0, size, start, 16))
    if cutting is not None and cutting.length <= ROWS.stride:
        cutting.fill(ROWS, 0, min(cutting.count, ROWS.count))


@pytest.mark.parametrize("gso", [GSO_TCPV4, GSO_TCPV6])
def test_the_wrong_version_is_refused(gso) -> None:
    packet = packets.tcp(*ENDS[6 if gso == GSO_TCPV4 else 4], b"x" * 200)
    assert cut(packet, gso, 100) is None
