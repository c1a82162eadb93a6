"""Key/value messages in three and five frames."""

from __future__ import annotations

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.bus.kvmsg import Form, KVMsg, read_properties, read_sequence, write_properties

FRAMES = st.lists(st.binary(max_size=40), max_size=7)


@given(FRAMES)
def test_any_frames_are_understood_or_refused(frames: list[bytes]) -> None:
    try:
        message = KVMsg.from_frames(frames)
    except BadInputError:
        return
    form = Form.CHP if len(frames) == 5 else Form.SIMPLE
    again = KVMsg.from_frames(message.to_frames(form))
    assert again == message


@given(
    st.integers(0, 2**64 - 1),
    st.text(min_size=1, max_size=50),
    st.binary(min_size=1, max_size=50),
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.from_regex(r"[^\n\r]*", fullmatch=True), max_size=3
    ),
)
def test_what_is_sent_is_what_comes(sequence: int, key: str, body: bytes, properties: dict[str, str]) -> None:
    message = KVMsg(sequence, key, body, b"u" * 16, properties)
    assert KVMsg.from_frames(message.to_frames()) == message


def test_the_sequence_is_told_apart_by_its_length() -> None:
    assert read_sequence(b"\0\0\0\5") == read_sequence(b"\0\0\0\0\0\0\0\5") == 5
    assert KVMsg(5, "k", b"v").to_frames(Form.RASPY) == [b"k", b"\0\0\0\5", b"v"]
    assert KVMsg(5, "k", b"v").to_frames(Form.SIMPLE) == [b"k", b"\0\0\0\0\0\0\0\5", b"v"]
    assert KVMsg(5, "k", b"v").to_frames(Form.CHP) == [b"k", b"\0\0\0\0\0\0\0\5", b"", b"", b"v"]
    with pytest.raises(BadInputError):
        read_sequence(b"\0\0\5")


def test_raspys_sequence_wraps_where_its_number_ends() -> None:
    assert Form.RASPY.pack_sequence(2**31 - 1) == b"\x7f\xff\xff\xff"
    assert Form.RASPY.pack_sequence(2**31) == b"\0\0\0\0"


def test_a_key_that_is_no_text_survives() -> None:
    frames = KVMsg.from_frames([b"/\xff/", b"\0" * 8, b"v"]).to_frames(Form.SIMPLE)
    assert frames[0] == b"/\xff/"


@pytest.mark.parametrize("lines", [b"ttl", b"=5\n", b"\xff=1\n", b"a=1\n\nb=2\n", b"a=" + b"x" * 5000])
def test_bad_properties_are_refused(lines: bytes) -> None:
    with pytest.raises(BadInputError):
        read_properties(lines)


@pytest.mark.parametrize(
    "properties", [{"": "x"}, {"a=b": "x"}, {"a\nb": "x"}, {"a": "x\ny"}, {"a": "x" * 5000}]
)
def test_properties_that_no_line_holds_are_not_written(properties: dict[str, str]) -> None:
    with pytest.raises(BadInputError):
        write_properties(properties)


def test_store_keeps_and_an_empty_body_deletes() -> None:
    kept: dict[str, KVMsg] = {}
    message = KVMsg(1, "/a/b", b"v")
    message.store(kept)
    KVMsg(2, None, b"v").store(kept)
    assert kept == {"/a/b": message}
    KVMsg(3, "/a/b").store(kept)
    KVMsg(4, "/not/there").store(kept)
    assert kept == {}


def test_dump_tells_what_it_is() -> None:
    assert KVMsg(7, "/a", b"b\xff").dump() == "[seq:7][key:/a][size:2] b\\xff"
    assert KVMsg(7).dump() == "[seq:7][key:None][size:0] "


def test_it_goes_through_sockets_as_the_manual_shows() -> None:
    with zmq.Context() as context, context.socket(zmq.PAIR) as here, context.socket(zmq.PAIR) as there:
        here.bind("inproc://kvmsg")
        there.connect("inproc://kvmsg")
        KVMsg(9, "/a", b"v").send(here)
        assert KVMsg.recv(there) == KVMsg(9, "/a", b"v")
        KVMsg(9, "/a", b"v", properties={"ttl": "3"}).send(here, Form.CHP)
        assert KVMsg.recv(there).properties == {"ttl": "3"}
