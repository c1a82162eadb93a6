"""Lines out of pipes."""

from __future__ import annotations

import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.runtime.supervision.child_output import ChildOutput, Tail


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield read, write
    for fd in (read, write):
        if os.path.exists(f"/proc/self/fd/{fd}"):
            os.close(fd)


def test_whole_lines_and_the_last_half(pipe) -> None:
    read, write = pipe
    lines: list = []
    output = ChildOutput("a", "stdout", read, lambda *line: lines.append(line))
    os.write(write, b"one\r\ntw")
    assert output.read()
    assert lines == [("a", "stdout", "one")]
    assert output.pending == b"tw"
    os.write(write, b"o\n\nrest \xff")
    output.finish()
    assert [line[2] for line in lines] == ["one", "two", "", "rest \ufffd"]
    assert output.fileno() == -1
    output.detach()


def test_the_end(pipe) -> None:
    read, write = pipe
    output = ChildOutput("a", "stderr", read, lambda *line: None)
    os.write(write, b"x")
    os.close(write)
    assert not output.read()
    assert not output.read()


def test_endless_lines_are_cut_and_memory_is_bounded(pipe) -> None:
    read, write = pipe
    lengths: list[int] = []
    output = ChildOutput("a", "stdout", read, lambda _, __, line: lengths.append(len(line)), max_line=1000)
    tracemalloc.start()
    for _ in range(200):
        os.write(write, b"x" * 60_000)
        output.read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(lengths) + len(output.pending) == 200 * 60_000
    assert max(lengths) == 1000
    assert peak < 3_000_000


def test_a_moved_stream_goes_on(pipe) -> None:
    read, write = pipe
    lines: list = []
    output = ChildOutput("a", "stdout", read, lambda *line: lines.append(line[2]), pending=b"be")
    os.write(write, b"gin\n")
    output.read()
    assert lines == ["begin"]


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 9))
def test_nothing_is_lost_however_it_comes(parts, most) -> None:
    read, write = os.pipe()
    lines: list[str] = []
    output = ChildOutput("a", "stdout", read, lambda _, __, line: lines.append(line), max_line=most)
    for part in parts:
        os.write(write, part)
        output.read()
    output.finish()
    os.close(write)
    assert all(len(line) <= most for line in lines)
    whole = b"".join(parts).replace(b"\n", b"").replace(b"\r", b"")
    if whole.isascii():
        assert "".join(lines).replace("\r", "") == whole.decode()


def test_the_tail_is_bounded() -> None:
    tail = Tail(lines=3, size=10)
    for text in ("a", "b", "c", "d"):
        tail.add(text)
    assert tail.lines() == ["b", "c", "d"]
    tail.add("x" * 9)
    assert tail.lines() == ["d", "x" * 9]
    tail.add("y" * 100)
    assert tail.lines() == ["y" * 100]
