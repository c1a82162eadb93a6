"""Frames: whatever pieces they come in, and whatever is sent in their place."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.runtime.exceptions import FrameTooLong
from wayhouse.runtime.frames import (
    HEADER,
    FrameReader,
    make_frame,
    make_header,
    payload_bytes,
    split_message,
)


def drain(reader: FrameReader) -> list[bytes]:
    found = []
    while (payload := reader.next()) is not None:
        found.append(payload)
    return found


def test_a_header_is_four_bytes_big_endian() -> None:
    assert make_header("åäö") == b"\x00\x00\x00\x06"
    assert make_frame(b"abc") == b"\x00\x00\x00\x03abc"
    assert split_message(b"\x00\x00\x00\x05abc") == (5, b"abc")
    with pytest.raises(ValueError, match="header"):
        split_message(b"\x00")


def test_payloads_are_text_or_bytes() -> None:
    assert bytes(payload_bytes(memoryview(b"abcd")[::2])) == b"ac"
    with pytest.raises(TypeError, match="int"):
        payload_bytes(3)  # type: ignore[arg-type]


def test_fix_an_empty_frame_is_a_message_and_does_not_wedge() -> None:
    reader = FrameReader()
    reader.feed(make_frame(b"") + make_frame(b"next"))
    assert drain(reader) == [b"", b"next"]


def test_what_is_longer_than_the_limit_is_refused_for_good() -> None:
    reader = FrameReader(limit=10)
    reader.feed(make_frame(b"0123456789") + HEADER.pack(11))
    assert reader.next() == b"0123456789"
    for _ in range(2):
        with pytest.raises(OverflowError, match="11 bytes"):
            reader.next()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_any_cutting_gives_the_same_payloads(payloads, cuts) -> None:
    wire = b"".join(make_frame(payload) for payload in payloads)
    reader, found, at, turn = FrameReader(), [], 0, 0
    while at < len(wire):
        step = cuts[turn % len(cuts)]
        reader.feed(wire[at : at + step])
        at, turn = at + step, turn + 1
        found += drain(reader)
        reader = FrameReader(kept=reader.kept())  # a successor goes on anywhere
    assert found == payloads
    assert reader.kept() == b""


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 40), max_size=6), st.binary(max_size=30))
def test_wanted_never_reaches_into_the_next_frame(sizes, rest) -> None:
    wire = b"".join(make_frame(b"x" * size) for size in sizes) + rest[:3]
    reader, at = FrameReader(), 0
    for size in sizes:
        while reader.wanted():
            piece = wire[at : at + reader.wanted()]
            reader.feed(piece)
            at += len(piece)
        assert reader.next() == b"x" * size
        assert reader.kept() == b""


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=10))
def test_fuzz_no_bytes_crash_or_bloat_the_reader(pieces) -> None:
    reader, fed = FrameReader(limit=64), 0
    for piece in pieces:
        reader.feed(piece)
        fed += len(piece)
        try:
            assert all(len(payload) <= 64 for payload in drain(reader))
        except FrameTooLong:
            return
        assert len(reader.kept()) <= min(fed, 68)
