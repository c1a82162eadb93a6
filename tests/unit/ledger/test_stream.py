"""The stream's limits."""

from __future__ import annotations

import asyncio

import pytest

from wayhouse.ledger import stream as module
from wayhouse.ledger.model import Line
from wayhouse.ledger.stream import Stream


async def test_long_lines_and_long_streams_are_shortened_but_the_verdict_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_LINES", 3)
    stream = Stream()
    for number in range(6):
        stream.append(Line(float(number), "x" * 5000))
    stream.append(Line(9.0, "verdict"), always=True)
    stream.close()
    texts = [entry.line.message async for batch in stream.watch() for entry in batch]
    assert len(texts) == 5
    assert len(texts[0]) < 4100
    assert "not kept" in texts[3]
    assert texts[-1] == "verdict"


async def test_entries_are_json() -> None:
    stream = Stream([Line(1.5, 'say "hi"')])
    stream.close()
    assert [entry.json async for batch in stream.watch() for entry in batch] == [
        '{"time":1.5,"message":"say \\"hi\\""}'
    ]


async def test_a_watcher_may_begin_in_the_middle() -> None:
    stream = Stream([Line(float(number), str(number)) for number in range(3)])
    stream.append(Line(3.0, "3"))
    stream.close()
    found = [(entry.number, entry.line.message) async for batch in stream.watch(2) for entry in batch]
    assert found == [(2, "2"), (3, "3")]
    assert [batch async for batch in stream.watch(4)] == []


async def test_who_had_more_than_there_is_goes_on_with_what_comes() -> None:
    stream = Stream([Line(0.0, "0")])
    watching = stream.watch(9)
    waiting = asyncio.create_task(anext(watching))
    await asyncio.sleep(0)
    stream.append(Line(1.0, "1"))
    assert [(entry.number, entry.line.message) for entry in await waiting] == [(1, "1")]
    await watching.aclose()
