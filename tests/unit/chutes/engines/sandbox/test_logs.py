"""The journal's lines come back, over rotations, while they are written."""

# covers: chutes/engines/sandbox/shim/journal.py

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from wayhouse.chutes.engines.sandbox.logs import Reader, follow, parse
from wayhouse.chutes.engines.sandbox.shim.journal import (
    LEAST_FILE_BYTES,
    MAX_LINE_BYTES,
    Journal,
    Lines,
    rfc3339,
)


def messages(reader: Reader) -> list[str]:
    found: list[str] = []
    while lines := reader.more():
        found += [line.message for line in lines]
    return found


def test_last_lines_then_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "log"
    journal = Journal(path, 1_000_000)
    for number in range(5):
        journal.write("stdout", f"line {number}")
    reader = Reader(path, "web")
    assert [line.message for line in reader.last(2)] == ["line 3", "line 4"]
    assert messages(reader) == []
    journal.write("stderr", "new")
    assert messages(reader) == ["new"]


def test_rotation_loses_nothing_for_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "log"
    journal = Journal(path, 0)
    reader = Reader(path, "web")
    assert reader.last(10) == []
    seen: list[str] = []
    total = 3 * LEAST_FILE_BYTES // 100
    for number in range(total):
        journal.write("stdout", f"{number} {'x' * 40}")
        if number % 50 == 0:
            seen += messages(reader)
    seen += messages(reader)
    assert [int(text.split()[0]) for text in seen] == list(range(total))
    assert path.stat().st_size + path.with_suffix(".1").stat().st_size <= 2 * LEAST_FILE_BYTES
    assert len(Reader(path, "web").last(100_000)) < total


def test_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "log", "web")
    assert reader.last(5) == []
    Journal(tmp_path / "log", 1000).write("stdout", "first")
    assert messages(reader) == ["first"]


async def test_follow_ends_with_what_is_left(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log", 1000)
    journal.write("stdout", "a")
    reader = Reader(tmp_path / "log", "web")
    answers = iter([False, True, True, True])
    assert [line.message async for line in follow(reader, lambda: next(answers))] == ["a"]


@given(st.binary(max_size=300))
def test_any_line_of_the_file(data: bytes) -> None:
    parse("web", data)


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_pieces_of_output_become_lines(tmp_path_factory: object, parts: list[bytes]) -> None:
    path: Path = tmp_path_factory.mktemp("log") / "log"  # type: ignore[attr-defined]
    lines = Lines(Journal(path, 1_000_000), "stdout")
    for part in parts:
        lines.feed(part)
    lines.end()
    whole = b"".join(parts)
    wanted = [text.removesuffix(b"\r").decode("utf-8", "replace") for text in whole.split(b"\n")]
    wanted = wanted if whole.rpartition(b"\n")[2] else wanted[:-1]
    assert [line.message for line in Reader(path, "web").last(1000)] == wanted


def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    lines = Lines(Journal(tmp_path / "log", 1_000_000), "stdout")
    lines.feed(b"x" * (MAX_LINE_BYTES + 5))
    lines.end()
    assert [len(line.message) for line in Reader(tmp_path / "log", "web").last(5)] == [MAX_LINE_BYTES, 5]


def test_time_stamps() -> None:
    assert rfc3339(1_795_293_577_734_258_711) == "2026-11-21T20:39:37.734258711Z"
    assert rfc3339(5) == "1970-01-01T00:00:00.000000005Z"


def test_lines_since_a_moment_over_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "log"
    journal = Journal(path, 0)
    for number in range(LEAST_FILE_BYTES // 80):
        journal.write("stdout", f"{number} {'x' * 40}")
    assert path.with_suffix(".1").exists()
    everything = Reader(path, "web").last(100_000)
    reader = Reader(path, "web")
    for place in (0, 1, len(everything) // 2, len(everything) - 1):
        stamp = everything[place].timestamp
        assert reader.since(stamp) == [line for line in everything if line.timestamp >= stamp]
    journal.write("stdout", "new")
    assert messages(reader) == ["new"]
