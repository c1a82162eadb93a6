"""Lines that gateways say to each other at the door."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError, NotFoundError
from wayhouse.overlay import door_words as words

ASKS = [
    words.Follow(id=1),
    words.Read(id=2, device="x", command="value"),
    words.Command(id=3, device="x", command="power", value=True, request="r"),
    words.Call(id=4, service="greeter", frames=("YQ==",)),
]
TELLS = [
    words.Hello(instance="i", gateway="barn"),
    words.Device(id="x", name="lamp", oid="switch", may="command", config={"unit": "V"}, is_available=True),
    words.Value(id="x", command="power", value=[1, {"a": None}], time=12.5),
    words.Gone(id="x"),
    words.Services(names=("greeter",), apps={80: "hello"}),
    words.Alive(),
    words.Done(id=1, value=7),
    words.Done(id=2, frames=()),
    words.Refused(id=3, status=404, code="not-found", message="no"),
]


@pytest.mark.parametrize("ask", ASKS)
def test_what_is_asked_comes_over(ask: words.Asked) -> None:
    line = words.encode(ask)
    assert line.endswith(b"\n")
    assert words.decode_ask(line) == ask


@pytest.mark.parametrize("tell", TELLS)
def test_what_is_told_comes_over(tell: words.Told) -> None:
    assert words.decode_tell(words.encode(tell)) == tell


def test_fields_of_later_are_no_fault() -> None:
    assert words.decode_ask(b'{"ask":"follow","id":1,"since":7}') == words.Follow(id=1)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_word_or_a_clear_error(line: bytes) -> None:
    for decode in (words.decode_ask, words.decode_tell):
        with pytest.raises(BadInputError):
            decode(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["follow", "read", "command", "call", "value", "device", "nothing"]),
    st.dictionaries(
        st.sampled_from(["id", "device", "command", "value", "frames", "service", "request", "timeout_s"]),
        JSON,
    ),
)
def test_any_object_is_a_word_or_a_clear_error(name: str, fields: dict[str, Any]) -> None:
    from wayhouse.base import codec

    for decode, key in ((words.decode_ask, "ask"), (words.decode_tell, "tell")):
        try:
            found = decode(codec.encode_json({key: name, **fields}))
        except BadInputError:
            continue
        assert isinstance(found, words.Ask | words.Tell)


def test_what_is_too_long_is_not_said() -> None:
    with pytest.raises(BadInputError, match="longer than 256 KiB"):
        words.encode(words.Value(id="x", command="value", value="x" * words.MOST_LINE))
    with pytest.raises(BadInputError, match="JSON"):
        words.encode(words.Value(id="x", command="value", value={1j}))


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_frames_come_over(frames: list[bytes]) -> None:
    assert words.unwrap(words.wrap(frames)) == frames


@pytest.mark.parametrize("frames", [["ä"], ["a"], ["YQ"], ["Y Q=="], [""] * 65, ["AAAA" * 32_769]])
def test_frames_that_are_none_are_refused(frames: list[str]) -> None:
    with pytest.raises(BadInputError):
        words.unwrap(frames)


def test_frames_that_are_too_many_are_not_sent() -> None:
    for frames in ([b""] * 65, [b"x" * 100_000]):
        with pytest.raises(BadInputError):
            words.wrap(frames)


def test_a_refusal_has_the_errors_words() -> None:
    assert words.refusal(7, NotFoundError("no such thing")) == words.Refused(
        id=7, status=404, code="not-found", message="no such thing"
    )
