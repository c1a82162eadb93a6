"""Places and cursors: their text comes back as it was, and nothing else is taken."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError
from wayhouse.chutes.log_cursor import LogCursor, LogPlace, moment
from wayhouse.chutes.model import LogLine

STAMP = "2026-11-22T01:35:34.000000001Z"
LATER = "2026-11-22T01:35:34.000000002Z"


def line(stamp: str, message: str = "", service: str = "main") -> LogLine:
    return LogLine(service, stamp, message)


async def stream(*lines: LogLine) -> AsyncIterator[LogLine]:
    for one in lines:
        yield one


async def test_of_lines_with_one_timestamp_those_that_were_read_are_known() -> None:
    lines = [line(STAMP, "a"), line(STAMP, "b"), line(STAMP, "c"), line(LATER, "d")]
    place = LogPlace().after(lines[0]).after(lines[1])
    assert place == LogPlace(STAMP, 2)
    assert [one.message async for one in place.beyond(stream(*lines))] == ["c", "d"]
    assert [one.message async for one in LogPlace(STAMP).beyond(stream(*lines))] == ["a", "b", "c", "d"]
    assert [one.message async for one in LogPlace(LATER, 1).beyond(stream(*lines))] == []


def test_a_line_without_a_timestamp_moves_nobody() -> None:
    cursor = LogCursor("", {"main": LogPlace(STAMP, 1)})
    assert cursor.after(line("")) == cursor
    assert LogCursor().after(line("")) == LogCursor()


def test_the_text_is_what_a_client_can_write_itself() -> None:
    cursor = (
        LogCursor(moment(1_700_000_000.5)).after(line(STAMP)).after(line(STAMP)).after(line(LATER, "", "db"))
    )
    assert str(cursor) == f"@2023-11-14T22:13:20.500000000Z,main@{STAMP}*2,db@{LATER}"
    assert LogCursor.parse(str(cursor)) == cursor
    assert LogCursor.parse(f"main@{STAMP}") == LogCursor("", {"main": LogPlace(STAMP, 1)})


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "main",
        "@",
        "main@",
        f"main@{STAMP}*",
        f"main@{STAMP}*0",
        f"ma in@{STAMP}",
        f"main@{STAMP},",
        "x" * 9000,
    ],
)
def test_nonsense_is_refused_with_advice(text: str) -> None:
    with pytest.raises(BadInputError, match="SERVICE@TIMESTAMP"):
        LogCursor.parse(text)


@given(st.text(alphabet=st.sampled_from("main@,*0123456789-:TZ.+ü\n"), max_size=80))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with contextlib.suppress(BadInputError):
        assert LogCursor.parse(str(LogCursor.parse(text))) == LogCursor.parse(text)
