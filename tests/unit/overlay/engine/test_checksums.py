"""Checksums against the plain way of RFC 1071."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.overlay.engine import packets
from wayhouse.overlay.engine import checksums


@given(st.binary(min_size=1, max_size=300).filter(any))
def test_the_sum(data) -> None:
    assert checksums.inverted(checksums.ones_sum(data)) == packets.checksum(data)
    assert checksums.udp_inverted(checksums.ones_sum(data)) == (packets.checksum(data) or 0xFFFF)


@given(st.integers(0, 2**20))
def test_swapping_is_its_own_opposite(total) -> None:
    assert checksums.swapped(checksums.swapped(total)) % 0xFFFF == total % 0xFFFF


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=64, max_size=64).filter(any))
def test_rows(data) -> None:
    words = np.frombuffer(data * 3, dtype="<u4").reshape(3, 16)
    for total in checksums.row_sums(words):
        assert checksums.inverted(checksums.swapped(int(total))) == packets.checksum(data)


@given(st.binary(max_size=100))
def test_completing_what_the_kernel_left(payload) -> None:
    whole = packets.udp("fd00::1", "fd00::2", payload)
    left = bytearray(whole)
    head = packets.words_sum(packets.pseudo(whole[8:24], whole[24:40], 17, len(whole) - 40))
    left[46:48] = head.to_bytes(2, "big")
    assert checksums.complete(memoryview(left), 40, 6)
    assert bytes(left) == whole
    assert not checksums.complete(memoryview(left), len(left), 0)
    assert not checksums.complete(memoryview(left), len(left) - 7, 6)


def test_pseudo_header() -> None:
    packet = packets.udp("10.0.0.1", "10.0.0.2", b"abc")
    want = packets.words_sum(packets.pseudo(packet[12:16], packet[16:20], 17, 11))
    assert checksums.pseudo_sum(packet, 17, 11) % 0xFFFF == want % 0xFFFF
