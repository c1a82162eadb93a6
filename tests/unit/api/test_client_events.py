import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.api import client_events
from wayhouse.api.client_errors import StrangeAnswerError, UnreachableError
from wayhouse.api.client_events import Event, events

END = b"event: end\ndata:\n\n"


def frames(lines):
    return (event.data for event in events(lines))


def test_data_lines_are_joined_and_comments_left_out():
    stream = b": still here\n\ndata: one\ndata:two\n\nid: 7\nretry: 1\ndata: \xc3\xbc\r\n\r\n" + END
    assert list(frames(io.BytesIO(stream))) == ["one\ntwo", "ü"]


def test_an_empty_frame_is_a_frame():
    assert list(frames(io.BytesIO(b"data: \n\n" + END))) == [""]


def test_nothing_is_read_after_the_end():
    stream = io.BytesIO(b"data: one\n\n" + END + b"data: two\n\n")
    assert list(frames(stream)) == ["one"]
    assert stream.read() == b"data: two\n\n"


def test_an_end_that_was_not_said_is_a_loss():
    with pytest.raises(UnreachableError):
        list(frames(io.BytesIO(b"data: one\n\n")))


def test_a_line_without_end_is_not_gathered_for_ever(monkeypatch):
    monkeypatch.setattr(client_events, "MOST_LINE", 1000)
    with pytest.raises(StrangeAnswerError):
        list(frames(io.BytesIO(b"data: " + bytes(5000))))


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\r\n", codec="utf-8")), max_size=5))
def test_every_text_comes_through(lines):
    stream = b"".join(f"data: {line}\n\n".encode() for line in lines) + END
    assert list(frames(io.BytesIO(stream))) == lines


@given(st.binary())
def test_no_bytes_break_it(data):
    with contextlib.suppress(UnreachableError):
        list(frames(io.BytesIO(data)))


def test_the_id_stays_until_there_is_another():
    stream = b"id: a\n\ndata: 1\n\nid: b\ndata: 2\n\nid: x\0\ndata: 3\n\nid:\ndata: 4\n\n" + END
    assert list(events(io.BytesIO(stream))) == [
        Event(None, "a"), Event("1", "a"), Event("2", "b"), Event("3", "b"), Event("4", None)
    ]  # fmt: skip
