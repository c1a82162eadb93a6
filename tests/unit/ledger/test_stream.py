"""The stream's limits."""

from __future__ import annotations

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
