"""Cutting bytes into frames: any splitting, lent buffers, room made as bytes come."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.runtime.rpc.frames import LARGE, Frames, OversizeError


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(max_size=300), max_size=8),
    st.lists(st.integers(min_value=1, max_value=90), min_size=1),
)
def test_a_reused_buffer_in_pieces_of_any_size(bodies: list[bytes], sizes: list[int]) -> None:
    data = b"".join(map(frame, bodies))
    frames, found, at, turn = Frames(), [], 0, 0
    buffer = bytearray(100)
    while at < len(data):
        piece = data[at : at + sizes[turn % len(sizes)]]
        at, turn = at + len(piece), turn + 1
        buffer[: len(piece)] = piece
        frames.feed(memoryview(buffer)[: len(piece)])
        while (body := frames.next()) is not None:
            found.append(bytes(body))
        buffer[:] = b"!" * len(buffer)
    assert found == bodies
    assert frames.rest() == b""


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=40_000), min_size=1, max_size=8))
def test_reading_straight_into_a_large_frame(sizes: list[int]) -> None:
    body = bytes(range(256)) * 400
    data, frames = frame(body) + frame(b"next"), Frames()
    frames.feed(data[:10])
    assert frames.next() is None
    at, turn, found = 10, 0, []
    while at < len(data):
        piece = data[at : at + sizes[turn % len(sizes)]]
        turn += 1
        if frames.large:
            tail = frames.tail()
            count = min(len(tail), len(piece))
            tail[:count] = piece[:count]
            frames.filled(count)
        else:
            count = len(piece)
            frames.feed(piece)
        at += count
        while (got := frames.next()) is not None:
            found.append(frames.keep(got))
    assert [bytes(one) for one in found] == [body, b"next"]


def test_an_announced_length_makes_no_room() -> None:
    frames = Frames()
    frames.feed(struct.pack(">I", 60_000_000) + b"x")
    assert frames.next() is None
    assert frames.large
    assert frames.missing() == 59_999_999
    assert len(frames.tail()) <= 1024 * 1024


def test_what_is_kept_stays() -> None:
    frames = Frames()
    buffer = bytearray(frame(b"a" * LARGE))
    frames.feed(buffer)
    body = frames.next()
    assert body is not None
    kept = frames.keep(body)
    assert frames.next() is None
    buffer[:] = bytes(len(buffer))
    frames.feed(frame(b"more"))
    assert bytes(kept) == b"a" * LARGE
    assert kept.readonly


def test_a_held_view_does_not_stop_the_next_bytes() -> None:
    frames = Frames()
    frames.feed(frame(b"one") + b"\0\0")
    held = frames.next()
    assert frames.next() is None
    frames.feed(b"\0\3tw")
    other = frames.next()
    frames.feed(b"o")
    assert bytes(frames.next() or b"") == b"two"
    assert (held, other) is not None


@pytest.mark.parametrize("size", [1001, 2**31 - 1, 2**31, 2**32 - 1])
def test_oversize(size: int) -> None:
    frames = Frames(1000)
    frames.feed(struct.pack(">I", size))
    with pytest.raises(OversizeError, match=f"{size} bytes are announced, 1000 are accepted"):
        frames.next()


def test_the_mark_of_attachments_counts_only_when_it_is_expected() -> None:
    frames = Frames(1000)
    frames.marks = True
    frames.feed(struct.pack(">I", 3 | 0x80000000) + b"abc" + frame(b"d"))
    assert bytes(frames.next() or b"") == b"abc"
    assert frames.marked
    assert bytes(frames.next() or b"") == b"d"
    assert not frames.marked
    frames.discard()
    frames.feed(struct.pack(">I", 1001 | 0x80000000))
    with pytest.raises(OversizeError):
        frames.next()
