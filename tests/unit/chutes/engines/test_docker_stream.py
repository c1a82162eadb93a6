"""Log frames and progress lines, cut anywhere."""

# covers: chutes/engines/docker_logs.py

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.chutes.engines.docker import explain_start
from wayhouse.chutes.engines.docker_images import split_tag
from wayhouse.chutes.engines.docker_logs import since_parameter
from wayhouse.chutes.engines.docker_stream import (
    LogFrames,
    ProgressLines,
    is_progress_bar,
    nanoseconds,
    useful_lines,
)
from wayhouse.chutes.model import EngineError, LogLine

STAMP = "2026-11-21T20:39:37.734258711Z"


def frame(stream: int, text: str) -> bytes:
    data = text.encode()
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4) + data


@given(st.lists(st.integers(1, 40), max_size=30))
def test_frames_may_arrive_in_any_pieces(cuts: list[int]) -> None:
    data = frame(1, f"{STAMP} one\n") + frame(2, f"{STAMP} two — ü\r\n") + frame(1, f"{STAMP} \n")
    frames = LogFrames("web")
    lines: list[LogLine] = []
    for cut in cuts:
        lines += frames.feed(data[:cut])
        data = data[cut:]
    lines += frames.feed(data)
    assert [line.message for line in lines] == ["one", "two — ü", ""]
    assert {line.timestamp for line in lines} == {STAMP}


def test_a_long_line_comes_in_parts() -> None:
    frames = LogFrames("web")
    parts = [
        frame(1, f"{STAMP} {'x' * 100}"),
        frame(2, f"{STAMP} between\n"),
        frame(1, f"{STAMP} {'y' * 10}\n"),
    ]
    messages = [line.message for part in parts for line in frames.feed(part)]
    assert messages == ["between", "x" * 100 + "y" * 10]
    assert [line.message for line in frames.feed(frame(1, f"{STAMP} cut off"))] == []
    assert [line.message for line in frames.end()] == ["cut off"]


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(EngineError):
        list(LogFrames("web").feed(data))


def test_what_is_not_in_frames_is_refused() -> None:
    with pytest.raises(EngineError, match="frames"):
        list(LogFrames("web").feed(b"plain text of a terminal"))


def test_timestamps_compare_as_text() -> None:
    assert nanoseconds("2026-11-21T20:39:37.5Z") == "2026-11-21T20:39:37.500000000Z"
    assert nanoseconds("2026-11-21T20:39:37Z") == "2026-11-21T20:39:37.000000000Z"
    assert since_parameter(STAMP) == "1795293577.734258711"
    assert since_parameter("") is None


def test_progress() -> None:
    events = [
        {"stream": "Step 1/2 : FROM x\n"},
        {"stream": "\x1b[32mCollecting flask\x1b[0m\n"},
        {"stream": "     ━━━━━━━━━━━━━━━━ 101.9/101.9 kB 2.1 MB/s eta 0:00:00\n"},
        {"status": "Downloading", "progressDetail": {"current": 1}, "progress": "[=> ]", "id": "abc"},
        {"status": "Pull complete", "progressDetail": {}, "id": "abc"},
        {"aux": {"ID": "sha256:1"}},
    ]
    lines = ProgressLines("Error building Docker image")
    said = [line for event in events for line in lines.feed(json.dumps(event).encode() + b"\r\n")]
    assert said == ["Step 1/2 : FROM x", "Collecting flask", "abc: Pull complete"]


def test_a_failure_is_raised() -> None:
    lines = ProgressLines("Error building Docker image")
    event = {"errorDetail": {"code": 3, "message": "exit\n3"}, "error": "exit 3"}
    with pytest.raises(EngineError, match=r"^Error building Docker image: exit 3$"):
        list(lines.feed(json.dumps(event).encode() + b"\n"))


@given(st.lists(st.binary(max_size=60)))
def test_any_progress_is_read(parts: list[bytes]) -> None:
    lines = ProgressLines("x")
    with contextlib.suppress(EngineError):
        for part in parts:
            list(lines.feed(part))
        list(lines.end())


@pytest.mark.parametrize(
    "bar", ["######## 100.0%", "[====>     ] 45%", "|████████| 10 kB 5.0 MB/s", "   50% |=====     |"]
)
def test_bars(bar: str) -> None:
    assert is_progress_bar(bar)


@pytest.mark.parametrize(
    "line", ["Step 1/4 : RUN a", "100% done", "--- listing ---", "drwxr-xr-x . ..", " ---> Running in 1a2b"]
)
def test_no_bars(line: str) -> None:
    assert not is_progress_bar(line)


def test_carriage_returns_leave_the_last_text() -> None:
    assert list(useful_lines("10%\r50%\rready\n\n")) == ["ready"]


def test_tags_and_reasons() -> None:
    assert split_tag("reg:5000/a/b") == ("reg:5000/a/b", "latest")
    assert split_tag("reg:5000/a:2") == ("reg:5000/a", "2")
    taken = "driver failed programming external connectivity: Bind for 0.0.0.0:8000 failed: port is already allocated"
    used = "listen tcp4 0.0.0.0:8000: bind: address already in use"
    assert {explain_start(taken), explain_start(used)} == {"Port 8000 of this machine is already in use."}
    assert explain_start("no such file").endswith("no such file")
