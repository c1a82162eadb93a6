"""One record, three places: a JSON line in the file, a fact on the stream, a line on the terminal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from wayhouse.base import codec, log
from wayhouse.base.events import Events

logger = logging.getLogger("wayhouse.test")


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield root
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers = handlers
    root.setLevel(level)


def lines(tmp_path: Path) -> list[dict[str, object]]:
    text = (tmp_path / "logs" / "wayhouse.log").read_text(encoding="utf-8")
    return [codec.decode_json(line, dict) for line in text.splitlines()]


async def test_a_record_goes_to_the_file_and_the_stream(tmp_path: Path) -> None:
    events = Events()
    log.set_up(tmp_path / "logs", events, terminal=False)
    with events.subscribe(log.LogLine) as heard:
        logger.info("port %d\nis “taken”", 80)
        logger.debug("too quiet")
        line = await anext(heard)
    assert (line.level, line.module, line.message) == ("INFO", "wayhouse.test", "port 80\nis “taken”")
    assert [one["message"] for one in lines(tmp_path)] == ["port 80\nis “taken”"]


def test_a_trace_is_in_the_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up(tmp_path / "logs", Events(), level="DEBUG")
    try:
        {}["gone"]
    except KeyError:
        logger.exception("it broke")
    assert "KeyError: 'gone'" in str(lines(tmp_path)[0]["trace"])
    assert "ERROR   it broke" in capsys.readouterr().err


async def test_another_thread_is_heard_on_the_loop(tmp_path: Path) -> None:
    """A subscription belongs to the loop: waking it from elsewhere would leave it asleep."""
    events = Events()
    log.set_up(tmp_path / "logs", events, terminal=False)
    with events.subscribe(log.LogLine) as heard:
        waiting = asyncio.create_task(anext(heard))
        await asyncio.sleep(0)
        await asyncio.to_thread(logger.info, "from a worker")
        assert (await waiting).message == "from a worker"


def test_arguments_that_do_not_fit_fail_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log.set_up(tmp_path / "logs", Events(), terminal=False)
    logger.info("%d", "no number")
    assert "Logging error" in capsys.readouterr().err
    logger.info("still here")
    assert [one["message"] for one in lines(tmp_path)] == ["still here"]


def test_the_file_rotates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_FILE_BYTES", 500)
    log.set_up(tmp_path / "logs", Events(), terminal=False)
    for number in range(100):
        logger.info("line %d", number)
    names = {path.name for path in (tmp_path / "logs").iterdir()}
    assert names == {"wayhouse.log", *(f"wayhouse.log.{n}" for n in range(1, log.KEPT_FILES + 1))}
