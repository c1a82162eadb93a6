"""The logs of an app read as one, whatever happens to its containers meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.parts.chute_lab import ADMIN, ChuteLab, app, light
from wayhouse.chutes import logs
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.chutes.log_cursor import LogCursor
from wayhouse.chutes.model import EngineError, LogLine, NoSuchChuteError


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PAUSE_S", 0.001)


async def until(stream: AsyncIterator[LogLine], message: str) -> list[str]:
    """The messages up to and with `message`."""
    said: list[str] = []
    async with asyncio.timeout(5):
        while message not in said:
            said.append((await anext(stream)).message)
    return said


async def test_history_is_of_all_services_in_order(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app(services={"main": light(), "extra": light()}))
        for number in range(3):
            lab.clock.advance(1)
            await lab.engine.print_line("hello-main", f"main {number}")
            lab.clock.advance(1)
            await lab.engine.print_line("hello-extra", f"extra {number}")
        lines = await lab.chutes.logs.history("hello", tail=3)
        assert [(line.service, line.message) for line in lines] == [
            ("extra", "extra 1"), ("main", "main 2"), ("extra", "extra 2")
        ]  # fmt: skip
        assert await lab.chutes.logs.history("hello", tail=0) == []
        with pytest.raises(NoSuchChuteError):
            await lab.chutes.logs.history("other")


async def test_new_lines_come_as_they_are_said(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        stream = lab.chutes.logs.follow("hello")
        assert await until(stream, "main started") == ["main started"]
        for number in range(5):
            await lab.engine.print_line("hello-main", str(number))
        assert await until(stream, "4") == ["0", "1", "2", "3", "4"]
        await stream.aclose()


async def test_a_reader_that_leaves_leaves_nothing_behind(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        before = asyncio.all_tasks()
        stream = lab.chutes.logs.follow("hello")
        await anext(stream)
        await stream.aclose()
        assert asyncio.all_tasks() == before
        assert not any(lab.events._by_type.values())


async def test_an_update_is_followed_with_its_new_services(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        stream = lab.chutes.logs.follow("hello")
        await until(stream, "main started")
        lab.clock.advance(1)
        await lab.install(app(services={"main": light(), "extra": light()}))
        async with asyncio.timeout(5):
            again = [(await anext(stream)).message for _ in range(2)]
        assert sorted(again) == ["extra started", "main started"], "each once, nothing of before"
        await stream.aclose()


async def test_it_ends_when_the_chute_goes(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        stream = lab.chutes.logs.follow("hello")
        await until(stream, "main started")
        await lab.done(await lab.chutes.delete("hello", ADMIN))
        async with asyncio.timeout(5):
            assert [line async for line in stream] == []


class Shaky(FakeEngine):
    """Cannot read logs for a while."""

    away = 0

    async def logs(
        self, name: str, *, tail: int = 200, follow: bool = False, since: str = ""
    ) -> AsyncIterator[LogLine]:
        if self.away:
            self.away -= 1
            raise EngineError("the engine restarts")
        async for line in super().logs(name, tail=tail, follow=follow, since=since):
            yield line


async def test_an_engine_that_is_away_is_waited_for(tmp_path: Path) -> None:
    engine = Shaky()
    async with ChuteLab(tmp_path, engine=engine) as lab:
        await lab.install(app())
        engine.away = 3
        stream = lab.chutes.logs.follow("hello")
        assert await until(stream, "main started") == ["main started"]
        assert engine.away == 0
        await stream.aclose()


async def test_a_slow_reader_holds_the_app_up_and_not_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "WAITING_LINES", 10)
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        stream = lab.chutes.logs.follow("hello", tail=0)
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0.01)
        for number in range(100):
            await lab.engine.print_line("hello-main", str(number))
        assert (await reading).message == "0"
        assert await until(stream, "99") == [str(number) for number in range(1, 100)]
        await stream.aclose()


class Coarse(FakeEngine):
    """Lines are told apart by the second at best, as an app's are that writes several in one go."""

    async def logs(
        self, name: str, *, tail: int = 200, follow: bool = False, since: str = ""
    ) -> AsyncIterator[LogLine]:
        moment = since and since[:19] + ".000000000Z"
        async for line in super().logs(name, tail=tail, follow=follow, since=moment):
            yield LogLine(line.service, line.timestamp[:19] + ".000000000Z", line.message)


@pytest.mark.parametrize("kind", [FakeEngine, Coarse])
async def test_coming_back_nothing_is_lost_or_doubled(tmp_path: Path, kind: type[FakeEngine]) -> None:
    engine = kind()
    async with ChuteLab(tmp_path, engine=engine) as lab:
        await lab.install(app(services={"main": light(), "extra": light()}))
        for number in range(40):
            lab.clock.advance(0.3)
            await engine.print_line(f"hello-{'main' if number % 3 else 'extra'}", str(number))
        said: list[str] = []
        cursor: LogCursor | None = None
        while len(said) < 42:
            stream = lab.chutes.logs.follow("hello", tail=200, cursor=cursor)
            cursor = LogCursor.parse(str(cursor)) if cursor else lab.chutes.logs.here()
            for _ in range(min(5, 42 - len(said))):
                async with asyncio.timeout(5):
                    line = await anext(stream)
                cursor = cursor.after(line)
                said.append(line.message)
            await stream.aclose()
        assert sorted(said) == sorted([*map(str, range(40)), "main started", "extra started"])


async def test_a_service_that_was_silent_is_heard_after_the_way_back(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app(services={"main": light(), "extra": light()}))
        for number in range(5):
            await lab.engine.print_line("hello-extra", f"old {number}")
        lab.clock.advance(1)
        logs = lab.chutes.logs
        begun = logs.here()
        lab.clock.advance(1)
        await lab.engine.print_line("hello-main", "seen")
        await lab.engine.print_line("hello-extra", "new")
        main = next(line for line in await logs.history("hello") if line.message == "seen")
        for tail, expected in ((0, ["new"]), (2, ["old 3", "old 4", "new"])):
            stream = logs.follow("hello", tail=tail, cursor=begun.after(main))
            assert await until(stream, "new") == expected
            await stream.aclose()
