"""Bytes on their way through JSON and back."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.api.wire_bus import MOST_SHOWN, Base64, Piece, data_of, key_view, piece, pieces
from wayhouse.base import codec


@given(st.lists(st.binary(max_size=40) | st.text(max_size=20).map(str.encode), max_size=5))
def test_any_frames_come_back(frames):
    told = codec.encode_json(pieces(frames))
    assert [data_of(one) for one in msgspec.json.decode(told, type=list[Piece])] == frames


def test_text_is_text():
    assert piece("grün".encode()) == "grün"
    assert piece(b"\xff") == Base64(b"\xff")


def test_a_key_and_its_value():
    assert key_view("/a", None).value is None
    assert key_view("/a", b"x").bytes == 1
    long = key_view("/a\udcff", b"\xff" * (MOST_SHOWN + 1))
    assert (long.key, long.is_cut, long.bytes) == ("/a\\xff", True, MOST_SHOWN + 1)
    assert long.value == Base64(b"\xff" * MOST_SHOWN)
    assert codec.encode_json(long)
