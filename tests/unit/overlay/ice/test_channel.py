"""ChannelData, and messages on a stream."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.overlay.ice import channel, stun
from wayhouse.overlay.ice.stun import BadStunError


@given(st.integers(0x4000, 0x4FFF), st.binary(max_size=100), st.booleans())
def test_there_and_back(number: int, data: bytes, is_stream: bool) -> None:
    wrapped = channel.wrap(number, data, is_stream=is_stream)
    assert channel.unwrap(wrapped) == (number, data)
    assert channel.is_channel_data(wrapped)
    assert not is_stream or len(wrapped) % 4 == 0


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    channel.unwrap(data)
    with suppress(BadStunError):
        channel.Frames().feed(data)


@given(st.lists(st.binary(max_size=50), max_size=6), st.integers(1, 30))
def test_a_stream_in_pieces(contents: list[bytes], size: int) -> None:
    message = stun.encode(stun.BINDING, stun.REQUEST, bytes(12), [(stun.USERNAME, b"abc")])
    stream = message + b"".join(channel.wrap(0x4001, content, is_stream=True) for content in contents)
    frames, found = channel.Frames(), []
    for at in range(0, len(stream), size):
        found += frames.feed(stream[at : at + size])
    assert found[0] == message
    assert [channel.unwrap(frame)[1] for frame in found[1:]] == contents


def test_what_is_neither() -> None:
    with pytest.raises(BadStunError):
        channel.Frames().feed(b"SSH-2.0-OpenSSH")
    assert channel.unwrap(b"\x40\x00\x00\x09short") == (0, b"")
