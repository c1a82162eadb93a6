"""A peer at the door: what it hears and what it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.parts.share_lab import VISITOR, Giver, giver, until
from wayhouse.base.clock import ManualClock
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.overlay import door_words as words
from wayhouse.overlay import visit as visits
from wayhouse.overlay.goods import Goods
from wayhouse.overlay.once import Once
from wayhouse.overlay.shares import May, Share
from wayhouse.overlay.views import OverlayChanged
from wayhouse.overlay.visit import Guest, Visit

LAMP = Share(what="device:lamp", to="any", may=May.COMMAND)
BOILER = Share(what="device:boiler", to="any")
HELLO = words.Hello(instance="i", gateway="barn")


class Wire:
    """The visitor's end."""

    def __init__(self, house: Giver, tasks: Tasks, *shares: Share) -> None:
        self.reader, self.told = asyncio.StreamReader(limit=words.MOST_LINE), list[words.Told]()
        self.guest: Guest | None = Guest(VISITOR, shares)
        self.events, self.house = house.events, house
        visit = Visit(
            Goods(house.devices, house.services, Once(tasks)), lambda: self.guest, events=house.events, clock=house.clock, hello=HELLO
        )  # fmt: skip
        self.running = tasks.spawn(visit.run(self.reader, self), name="visit")

    def write(self, data: bytes) -> None:
        self.told.append(words.decode_tell(data))

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def ask(self, *asks: words.Ask) -> None:
        self.reader.feed_data(b"".join(map(words.encode, asks)))

    def given(self, *shares: Share) -> None:
        self.guest = Guest(VISITOR, shares)
        self.events.publish(OverlayChanged("home"))

    async def until(self, kind: type, **fields: object) -> words.Told:
        def found() -> words.Told | None:
            fits = (one for one in self.told if isinstance(one, kind))
            return next(
                (one for one in fits if all(getattr(one, key) == value for key, value in fields.items())),
                None,
            )

        await until(found)
        found_now = found()
        assert found_now is not None
        return found_now

    def id(self, name: str) -> str:
        return self.house.devices.get(name).id


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Giver]:
    async with giver(tmp_path) as made:
        yield made


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    async with Tasks() as made:
        yield made


async def test_what_is_shared_is_told_and_then_what_changes(house: Giver, tasks: Tasks) -> None:
    wire = Wire(house, tasks, LAMP)
    wire.ask(words.Follow())
    await wire.until(words.Services)
    hello, device, value, services = wire.told[:4]
    assert (hello, services) == (HELLO, words.Services())
    assert isinstance(device, words.Device)
    assert (device.name, device.may, device.is_available) == ("lamp", "command", True)
    assert isinstance(value, words.Value)
    assert (value.id, value.command, value.value) == (device.id, "power", False)
    await house.devices.command("lamp", "power", value=True)
    await wire.until(words.Value, value=True)
    await house.devices.command("tv", "power", value=True)
    await house.devices.rename("lamp", "lamp two")
    await wire.until(words.Gone, id=device.id)
    assert {one.id for one in wire.told if isinstance(one, words.Value)} == {device.id}


async def test_a_device_that_fails_is_told(house: Giver, tasks: Tasks) -> None:
    wire = Wire(house, tasks, BOILER)
    wire.ask(words.Follow())
    await wire.until(words.Device, is_available=True)
    house.fake.unplug("boiler")
    with pytest.raises(Exception, match="unplugged"):
        await house.devices.command("boiler", "value")
    found = await wire.until(words.Device, is_available=False)
    assert isinstance(found, words.Device)
    assert "unplugged" in found.reason
    await house.devices.delete("boiler")
    await wire.until(words.Gone)


async def test_shares_that_change_count_at_once(house: Giver, tasks: Tasks) -> None:
    wire = Wire(house, tasks, LAMP)
    wire.ask(words.Follow())
    await wire.until(words.Services)
    wire.given(BOILER, Share(what="service:greeter", to="any"))
    await wire.until(words.Device, name="boiler")
    await wire.until(words.Gone, id=wire.id("lamp"))
    await wire.until(words.Services, names=("greeter",))
    wire.given()
    await wire.until(words.Gone, id=wire.id("boiler"))
    await asyncio.wait([wire.running])


async def test_who_is_nobody_any_more_is_answered_nothing(house: Giver, tasks: Tasks) -> None:
    wire = Wire(house, tasks, LAMP)
    wire.guest = None
    wire.ask(
        words.Read(id=1, device=wire.id("lamp"), command="power"),
        words.Command(id=2, device=wire.id("lamp"), command="power", value=True),
        words.Call(id=3, service="greeter"),
    )
    for number in (1, 2, 3):
        refused = await wire.until(words.Refused, id=number)
        assert isinstance(refused, words.Refused)
        assert refused.status in {400, 404}
    assert house.devices.last("lamp", "power").value is False  # type: ignore[union-attr]
    wire.ask(words.Follow())
    await asyncio.wait([wire.running])
    assert not [one for one in wire.told if isinstance(one, words.Device)]


async def test_asks_are_answered_each_by_its_number(house: Giver, tasks: Tasks) -> None:
    wire = Wire(house, tasks, LAMP, BOILER, Share(what="service:greeter", to="any"))
    wire.ask(
        words.Read(id=1, device=wire.id("lamp"), command="power"),
        words.Command(id=2, device=wire.id("lamp"), command="power", value=True, request="r"),
        words.Command(id=3, device=wire.id("boiler"), command="value", value=1.0),
        words.Call(id=4, service="greeter", frames=words.wrap([b"hi"])),
        words.Call(id=5, service="other"),
        words.Call(id=6, service="greeter", frames=("no base64",)),
    )
    assert (await wire.until(words.Done, id=1)).value is False  # type: ignore[union-attr]
    assert (await wire.until(words.Done, id=2)).value is True  # type: ignore[union-attr]
    assert (await wire.until(words.Refused, id=3)).status == 403  # type: ignore[union-attr]
    assert words.unwrap((await wire.until(words.Done, id=4)).frames)[-1] == b"hi"  # type: ignore[union-attr,arg-type]
    assert (await wire.until(words.Refused, id=5)).status == 404  # type: ignore[union-attr]
    assert (await wire.until(words.Refused, id=6)).status == 400  # type: ignore[union-attr]
    wire.reader.feed_eof()
    await asyncio.wait([wire.running])


async def test_what_was_lost_on_the_way_is_told_again(
    house: Giver, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "WAITING", 3)
    wire = Wire(house, tasks, LAMP)
    wire.ask(words.Follow())
    await wire.until(words.Services)
    for number in range(20):
        await house.devices.command("tv", "power", value=bool(number % 2))
    await house.devices.command("lamp", "power", value=True)
    for number in range(20):
        await house.devices.command("tv", "power", value=bool(number % 2))
    await wire.until(words.Value, id=wire.id("lamp"), value=True)


async def test_a_visitor_that_asks_too_fast_is_slowed_down(house: Giver) -> None:
    clock, reader, told = ManualClock(), asyncio.StreamReader(), list[bytes]()

    class Writer:
        write = staticmethod(told.append)

        async def drain(self) -> None: ...

    async with Tasks() as tasks:
        goods = Goods(house.devices, house.services, Once(tasks))
        visit = Visit(goods, lambda: None, events=Events(), clock=clock, hello=HELLO)
        begun = clock.monotonic()
        reader.feed_data(words.encode(words.Read(device="x", command="y")) * 300)
        reader.feed_eof()
        await visit.run(reader, Writer())
    assert clock.monotonic() - begun >= (300 - visits.ASKS_AT_ONCE) / visits.ASKS_S


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.binary(max_size=120))
def test_whatever_is_said_ends_the_visit_and_nothing_else(data: bytes) -> None:
    async def say() -> None:
        reader, told = asyncio.StreamReader(limit=100), list[bytes]()

        class Writer:
            write = staticmethod(told.append)

            async def drain(self) -> None: ...

        async with Tasks():
            visit = Visit(None, lambda: None, events=Events(), clock=ManualClock(), hello=HELLO)  # type: ignore[arg-type]
            reader.feed_data(data + b"\n")
            await visit.run(reader, Writer())
        assert told == [words.encode(HELLO)]

    asyncio.run(say())
