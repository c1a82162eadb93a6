"""Pipes between a process and its child."""

from __future__ import annotations

import os
import threading

import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.runtime.exceptions import ConnectionClosed, ConnectionTimeout, FrameTooLong
from wayhouse.runtime.pipe import Pipe


@pytest.fixture
def pipe():
    made = Pipe()
    yield made
    made.close()


def test_values_come_out_in_order(pipe) -> None:
    for value in (1, {"a": [None]}, "åäö"):
        pipe.put(value)
    assert not pipe.empty()
    assert [pipe.get(5) for _ in range(3)] == [1, {"a": [None]}, "åäö"]
    assert pipe.empty()
    with pytest.raises(ConnectionTimeout):
        pipe.get(0)


def test_fix_a_message_larger_than_the_pipe_goes_through(pipe) -> None:
    big = "x" * 300_000
    writer = threading.Thread(target=pipe.put, args=(big,))
    writer.start()
    assert pipe.get(5) == big
    writer.join()


def test_fix_what_was_written_is_read_before_the_end_is_told(pipe) -> None:
    pipe.put("last words")
    pipe.close_writer()
    assert pipe.get(5) == "last words"
    with pytest.raises(ConnectionClosed):
        pipe.get(5)
    assert not pipe.empty()


def test_a_part_is_kept_over_a_timeout_and_lost_with_its_writer(pipe) -> None:
    os.write(pipe.w, b"\0\0\0\x02")
    with pytest.raises(ConnectionTimeout):
        pipe.get(0.01)
    os.write(pipe.w, b"42")
    assert pipe.get(5) == 42
    os.write(pipe.w, b"\0\0\0\x02x")
    pipe.close_writer()
    with pytest.raises(ConnectionClosed):
        pipe.get(5)


def test_garbage_is_refused(pipe) -> None:
    os.write(pipe.w, b"\0\0\0\x02{]")
    with pytest.raises(BadInputError):
        pipe.get(5)
    os.write(pipe.w, b"\xff\xff\xff\xff")
    with pytest.raises(FrameTooLong):
        pipe.get(5)


def test_a_closed_pipe_says_so(pipe) -> None:
    pipe.close_reader()
    with pytest.raises(ConnectionClosed):
        pipe.put(1)
    pipe.close()
    pipe.close()
    assert (pipe.r, pipe.w) == (-1, -1)
    with pytest.raises(ConnectionClosed):
        pipe.put(1)
    with pytest.raises(ConnectionClosed):
        pipe.get(0)
    assert pipe.empty()
