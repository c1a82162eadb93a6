"""Words of durable requests: uuids, marks, packed frames, settings."""

from __future__ import annotations

import contextlib
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.bus.model import MalformedError
from wayhouse.bus.titanic_model import (
    Order,
    TitanicSettings,
    build_label,
    pack,
    parse_order,
    parse_seconds,
    parse_uuid,
    unpack,
)

ONE = uuid.UUID("0123abcd-4567-89ef-0123-456789abcdef")


@pytest.mark.parametrize("text", [ONE.hex, ONE.hex.upper(), str(ONE), str(ONE).upper()])
def test_both_spellings_of_a_uuid_in_any_case(text: str) -> None:
    assert parse_uuid(text.encode()) == ONE.bytes


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x" * 32,
        ONE.hex.encode() + b"\n",
        b"../" * 12,
        str(ONE).encode()[:-1],
        b"0123abcd-456789ef-0123-4567-89abcdef",
        b"\xd9\xa1" * 16,
    ],
)
def test_nothing_else_is_one(text: bytes) -> None:
    assert parse_uuid(text) is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40) | st.from_regex(rb"[0-9a-fA-F-]{30,38}"))
def test_any_frame_is_a_uuid_or_not(frame: bytes) -> None:
    found = parse_uuid(frame)
    assert found is None or len(found) == 16


def test_an_order_without_marks() -> None:
    assert parse_order([b"echo", b"a", b"b"]) == Order(b"echo", [b"a", b"b"])
    assert parse_order([b"echo"]) == Order(b"echo", [b""])


def test_an_order_with_marks_is_what_was_labelled() -> None:
    label = build_label(b"echo", once=True, ttl_s=2.5, uuid=ONE.bytes)
    assert parse_order([label, b"x"]) == Order(b"echo", [b"x"], True, 2.5, ONE.bytes)
    assert build_label(b"echo") == b"echo"


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b""],
        [b"x" * 256],
        [b"\0once"],
        [b"echo\0"],
        [b"echo\0twice"],
        [b"echo\0uuid=1"],
        [b"echo\0ttl=0"],
        [b"echo\0ttl=inf"],
    ],
)
def test_an_order_that_is_not_understood(frames: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        parse_order(frames)


def test_an_order_that_is_too_long() -> None:
    with pytest.raises(MalformedError, match="100"):
        parse_order([b"echo", b"x" * 100], limit=100)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=4))
def test_any_frames_are_an_order_or_malformed(frames: list[bytes]) -> None:
    with contextlib.suppress(MalformedError):
        parse_order(frames)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=6))
def test_packed_frames_come_back(frames: list[bytes]) -> None:
    assert unpack(pack(frames)) == frames


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_packed_frames_or_malformed(packed: bytes) -> None:
    with contextlib.suppress(MalformedError):
        assert pack(unpack(packed)) == packed


def test_seconds() -> None:
    assert parse_seconds(b"1.5") == 1.5
    for wrong in (b"", b"-1", b"0", b"nan", b"inf", b"x", b"\xff"):
        with pytest.raises(MalformedError):
            parse_seconds(wrong)


def test_settings_are_above_0() -> None:
    with pytest.raises(ValueError, match="lanes"):
        TitanicSettings(lanes=0)
