"""Whatever the packets, what is kept begins with the first frame that is not whole."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import BINARY, Frame

from wayhouse.gateway.frame_rest import FrameRest

SIZES = st.sampled_from([0, 1, 125, 126, 127, 300, 65535, 65536])


@given(st.lists(st.tuples(SIZES, st.booleans()), max_size=5), st.lists(st.integers(1, 70_000), max_size=8))
def test_frames_in_any_packets(frames, packets):
    sent = [Frame(BINARY, bytes(size)).serialize(mask=mask) for size, mask in frames]
    ends = list(itertools.accumulate(map(len, sent), initial=0))
    data = b"".join(sent)
    rest, at = FrameRest(), 0
    for size in [*packets, len(data)]:
        rest.feed(data[at : at + size])
        at = min(at + size, len(data))
        begun = max(end for end in ends if end <= at)
        assert bytes(rest) == data[begun:at]


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_no_bytes_break_it(packets):
    rest = FrameRest()
    for packet in packets:
        rest.feed(packet)
    assert b"".join(packets).endswith(bytes(rest))
