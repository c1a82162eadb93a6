"""What a frame carries."""

from __future__ import annotations

import pytest

from wayhouse.runtime.rpc.payload import make_frame, make_header, payload_bytes, split_message


def test_a_header_is_four_bytes_big_endian() -> None:
    assert make_header("åäö") == b"\x00\x00\x00\x06"
    assert make_frame(b"abc") == b"\x00\x00\x00\x03abc"
    assert split_message(b"\x00\x00\x00\x05abc") == (5, b"abc")
    with pytest.raises(ValueError, match="header"):
        split_message(b"\x00")


def test_payloads_are_text_or_bytes() -> None:
    assert bytes(payload_bytes(memoryview(b"abcd")[::2])) == b"ac"
    assert bytes(payload_bytes(bytearray(b"ab"))) == b"ab"
    with pytest.raises(TypeError, match="int"):
        payload_bytes(3)  # type: ignore[arg-type]
