"""ChannelData of RFC 8656."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.overlay.engine import channel_data


@given(st.integers(0x4000, 0x4FFF), st.binary(max_size=50), st.integers(0, 3))
def test_there_and_back(channel, data, padding) -> None:
    datagram = channel_data.prefix(channel, len(data)) + data + bytes(padding)
    assert channel_data.parse(datagram) == (channel, len(data))


@pytest.mark.parametrize("data", ["", "4001", "40010001", "3fff0000", "50000000", "0001000000"])
def test_what_is_none(data) -> None:
    assert channel_data.parse(bytes.fromhex(data)) is None


@given(st.binary(max_size=30))
def test_nonsense(data) -> None:
    found = channel_data.parse(data)
    assert found is None or found[1] <= len(data) - 4
