"""The door of another gateway from outside: a real one, one that says odd things, and one that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.parts.share_lab import GIVER, TAKER_UID, giver, link, until
from wayhouse.base.clock import SystemClock
from wayhouse.base.errors import UnavailableError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay import door_words as words
from wayhouse.overlay.drivers import far_gateway
from wayhouse.overlay.drivers.far_gateway import FarGateway, RefusedError
from wayhouse.overlay.shares import May, Share

ALL = Share(what="device:*", to="any", may=May.COMMAND)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Ears:
    def __init__(self) -> None:
        self.heard: list[words.Told] = []
        self.begins, self.reasons = 0, list[str]()

    def begun(self) -> None:
        self.begins += 1

    def told(self, word: words.Told) -> None:
        self.heard.append(word)

    def lost(self, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_S", "AGAIN_S", "LONGEST_S"):
        monkeypatch.setattr(far_gateway, name, 0.01)


@asynccontextmanager
async def outside(
    port: int, *, keeps_knocking: bool = True, address: str = GIVER
) -> AsyncIterator[tuple[FarGateway, Ears]]:
    ears = Ears()
    made = FarGateway(address, "", ears, SystemClock(), port=port, keeps_knocking=keeps_knocking)
    async with Tasks() as tasks:
        tasks.spawn(made.run(), name="far")
        yield made, ears


@asynccontextmanager
async def door(talk: Talk) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, GIVER, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_over_ipv6(tmp_path: Path) -> None:
    async with giver(tmp_path) as house:
        house.links.address, house.links.address6 = "", "::1"
        house.links.peers["home"] = (link(TAKER_UID, "attic", "", ip6="::1"),)
        await house.share(ALL)
        lamp = house.devices.get("lamp").id
        async with outside(house.port, address="::1") as (far, ears):
            await until(lambda: any(isinstance(one, words.Services) for one in ears.heard))
            await far.ask(words.Command(device=lamp, command="power", value=True, request="r"), 5.0)
        assert await house.devices.command("lamp", "power") is True


async def test_at_a_real_door(tmp_path: Path) -> None:
    async with giver(tmp_path) as house:
        await house.share(ALL)
        lamp = house.devices.get("lamp").id
        async with outside(house.port) as (far, ears):
            await until(
                lambda: far.has_knocked and any(isinstance(one, words.Services) for one in ears.heard)
            )
            assert sum(isinstance(one, words.Device) for one in ears.heard) == len(house.devices.all())
            done = await far.ask(words.Command(device=lamp, command="power", value=True, request="r"), 5.0)
            assert done.value is True
            assert (await far.ask(words.Read(device=lamp, command="power"), 5.0)).value is True
            with pytest.raises(RefusedError) as raised:
                await far.ask(words.Read(device="nothing", command="power"), 5.0)
            assert (raised.value.far_status, raised.value.far_code) == (404, "no-such-device")
            await until(lambda: any(isinstance(one, words.Value) and one.value is True for one in ears.heard))
            await house.share()
            await until(lambda: any(isinstance(one, words.Gone) and one.id == lamp for one in ears.heard))


async def test_a_door_that_is_there_again_in_a_moment_is_not_missed() -> None:
    talks = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal talks
        talks += 1
        writer.write(words.encode(words.Hello(instance="same")) + words.encode(words.Services(names=("x",))))
        await reader.readline()
        ask = words.decode_ask(await reader.readline())
        if talks > 1:
            writer.write(words.encode(words.Done(id=ask.id, value=talks)))
            await writer.drain()
            await reader.readline()

    async with door(talk) as port, outside(port) as (far, ears):
        await until(lambda: ears.heard)
        assert (await far.ask(words.Read(device="x", command="y"), 5.0)).value == 2
        assert (ears.begins, ears.reasons) == (2, [])


async def test_what_may_have_been_done_is_not_told_to_another_instance() -> None:
    talks = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal talks
        talks += 1
        writer.write(
            words.encode(words.Hello(instance=str(talks))) + words.encode(words.Services(names=("x",)))
        )
        await reader.readline()
        await reader.readline()

    async with door(talk) as port, outside(port) as (far, ears):
        await until(lambda: ears.heard)
        with pytest.raises(UnavailableError, match="nobody knows"):
            await far.ask(words.Command(device="x", command="y", value=1, request="r"), 5.0)


async def test_a_door_that_is_closed_for_good_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far_gateway, "GRACE_S", 0.05)
    may_close = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not may_close.is_set():
            writer.write(words.encode(words.Hello(instance="i")) + words.encode(words.Services(names=("x",))))
            await may_close.wait()

    async with door(talk) as port, outside(port) as (far, ears):
        await until(lambda: ears.heard)
        with pytest.raises(UnavailableError, match=r"within 0.01 s"):
            await far.ask(words.Read(device="x", command="y"), 0.01)
        assert ears.reasons == []
        may_close.set()
        await until(lambda: ears.reasons)
    async with outside(1) as (far, ears):
        await until(lambda: far.has_knocked)
        with pytest.raises(UnavailableError, match="does not answer"):
            await far.ask(words.Read(device="x", command="y"), 5.0)


async def test_silence_is_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "SILENT_S", 0.05)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words.encode(words.Hello(instance="i")) + words.encode(words.Services(names=("x",))))
        await reader.read()

    async with door(talk) as port, outside(port) as (_, ears):
        await until(lambda: ears.reasons)


async def test_where_links_are_made_on_demand_it_knocks_once() -> None:
    knocks = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal knocks
        knocks += 1

    async with door(talk) as port:
        ears = Ears()
        await FarGateway(GIVER, "", ears, SystemClock(), port=port, keeps_knocking=False).run()
    assert knocks == 1


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"nonsense\n",
        b'{"tell":"alive"}\n',
        b"x" * 300_000,
        b'{"tell":"hello","instance":7}\n',
        b"\xff\n",
    ],
)
async def test_a_door_that_says_odd_things_is_nobody(line: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(line)

    async with door(talk) as port, outside(port) as (far, ears):
        await until(lambda: far.has_knocked)
        assert (ears.heard, ears.begins) == ([], 0)


async def test_answers_that_nobody_waits_for_are_no_fault() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for word in (
            words.Hello(instance="i"), words.Done(id=99), words.Refused(id=98, status=1, code="", message=""), words.Hello(instance="j"),
            words.Services(names=("x",)),
        ):  # fmt: skip
            writer.write(words.encode(word))
        await reader.read()

    async with door(talk) as port, outside(port) as (_, ears):
        await until(lambda: ears.heard)
        assert ears.heard == [words.Services(names=("x",))]
