"""Bytes of a connection go to a port of this machine and back, while they may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from wayhouse.base.clock import SystemClock
from wayhouse.overlay.drivers import pass_on as passing
from wayhouse.overlay.drivers.pass_on import pass_on


async def _shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data.upper())
    writer.write(b"!")
    writer.close()
    await writer.wait_closed()


class Passage:
    def __init__(self) -> None:
        self.is_open, self.ended = True, asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await pass_on(reader, writer, self.port, may_go_on=lambda: self.is_open, clock=SystemClock())
        except OSError:
            pass
        finally:
            writer.close()
            self.ended.set()


@asynccontextmanager
async def passage() -> AsyncIterator[tuple[Passage, asyncio.StreamReader, asyncio.StreamWriter]]:
    made = Passage()
    app = await asyncio.start_server(_shout, "127.0.0.1", 0)
    door = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = app.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", door.sockets[0].getsockname()[1])
    try:
        yield made, reader, writer
    finally:
        writer.close()
        await made.ended.wait()
        door.close()
        app.close()


async def test_both_ways_and_each_end_by_itself() -> None:
    async with passage() as (_, reader, writer):
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        writer.write(b"x" * 500_000)
        assert await reader.readexactly(500_000) == b"X" * 500_000
        writer.write_eof()
        assert await reader.read() == b"!"


async def test_it_ends_when_it_may_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "LOOK_S", 0.01)
    async with passage() as (made, reader, writer):
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        made.is_open = False
        assert await reader.read() == b""


async def test_where_nobody_is_there_is_an_end() -> None:
    with pytest.raises(ConnectionRefusedError):
        await pass_on(asyncio.StreamReader(), None, 1, may_go_on=lambda: True, clock=SystemClock())  # type: ignore[arg-type]
