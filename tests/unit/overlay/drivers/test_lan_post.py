"""Introductions over TCP on loopback: delivered once, and whoever does not keep to the form is shown the door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from wayhouse.base.errors import ForbiddenError, UnavailableError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.drivers import lan_post
from wayhouse.overlay.drivers.lan_post import MOST_GUESTS_OF_ONE, LanPost
from wayhouse.overlay.introduction import GREETING, MAGIC, Introduction, Seal
from wayhouse.overlay.stanzas import BadStanzaError

A, B = "a" * 40, "b" * 40
SEAL = Seal("home", b"secret")
Heard = list[tuple[str, Introduction, str]]


@asynccontextmanager
async def post(uid: str, seal: Seal = SEAL) -> AsyncIterator[tuple[LanPost, Heard]]:
    heard: Heard = []
    async with Tasks() as tasks:
        one = LanPost(seal, uid, f"FPR-{uid[0]}", tasks, lambda *words: heard.append(words))
        await one.open()
        try:
            yield one, heard
        finally:
            one.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_message_is_delivered_with_who_where_and_what(host: str) -> None:
    async with post(A) as (a, _), post(B) as (b, heard):
        assert await a.ask(host, b.port, B, "con_req", "x" * 60_000) == "FPR-b"
        assert await a.ask(host, b.port, B) == "FPR-b"
    said = [Introduction("FPR-a", a.port, "con_req", "x" * 60_000), Introduction("FPR-a", a.port)]
    assert heard == [(A, one, host) for one in said]
    assert b.refused == 0


async def test_who_is_not_there_or_no_member() -> None:
    async with post(A) as (a, heard_a), post(B, Seal("home", b"other")) as (b, heard):
        with pytest.raises((ForbiddenError, UnavailableError)):
            await a.ask("127.0.0.1", b.port, B, "con_req", "x")
        with pytest.raises(BadStanzaError):
            await a.ask("127.0.0.1", b.port, B, "con req", "x")
        port = b.port
    assert heard == []
    async with post(A) as (a, _):
        for place in (("127.0.0.1", port), ("not an address", 1)):
            with pytest.raises(UnavailableError):
                await a.ask(*place, B)
        await a.ask("127.0.0.1", a.port, A)  # oneself is not heard
    assert heard_a == []


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x40" + b"x" * 64,
        b"\0\0\x10\0short",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_strange_guests_are_shown_the_door(sent: bytes) -> None:
    async with post(B) as (b, heard):
        reader, writer = await asyncio.open_connection("127.0.0.1", b.port)
        assert (await reader.readexactly(GREETING)).startswith(MAGIC)
        writer.write(sent)
        writer.write_eof()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1)
        writer.transport.abort()
        assert b.refused == 1
    assert heard == []


async def test_silent_guests_are_few_and_do_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lan_post, "CONVERSATION_LIMIT_S", 0.3)
    async with post(A) as (a, _), post(B) as (b, _):
        guests = [await asyncio.open_connection("127.0.0.1", b.port) for _ in range(MOST_GUESTS_OF_ONE + 3)]
        await asyncio.sleep(0.05)
        assert b.refused == 3
        for reader, writer in guests:
            try:
                while await reader.read(100):
                    pass
            except ConnectionError:
                pass
            writer.transport.abort()
        assert await a.ask("127.0.0.1", b.port, B) == "FPR-b"


async def test_a_server_that_is_no_node_is_left() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2 and more\r\n")
        writer.write_eof()
        await reader.read()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with post(A) as (a, _):
        with pytest.raises((UnavailableError, ValueError, Exception), match="no node"):
            await a.ask("127.0.0.1", server.sockets[0].getsockname()[1], B)
    server.close()
    await asyncio.sleep(0.01)
