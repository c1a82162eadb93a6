"""The header before each packet."""

from __future__ import annotations

import struct

import pytest

from wayhouse.overlay.engine import offload


def test_layout() -> None:
    head = offload.tcp_head(is_ipv4=True, has_cwr=False, header_length=52, size=1368, start=20)
    assert offload.read_head(head) == (1, 1, 52, 1368, 20, 16)
    assert offload.checksum_place(head) == (20, 16)
    head = offload.tcp_head(is_ipv4=False, has_cwr=True, header_length=60, size=1, start=40)
    assert offload.read_head(head).gso == 4 | 0x80
    assert offload.read_head(offload.CHECKED_HEAD) == (2, 0, 0, 0, 0, 0)
    with pytest.raises(struct.error):
        offload.read_head(b"short")
