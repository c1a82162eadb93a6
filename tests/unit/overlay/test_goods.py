"""Devices and services as shares show them to one visitor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.parts.share_lab import VISITOR, FakeServices, Giver, giver
from wayhouse.base.errors import BadInputError, ForbiddenError, NotFoundError, UnavailableError
from wayhouse.base.tasks import Tasks
from wayhouse.devices.model import BadValueError, DeviceGoneError, NoSuchCommandError, NoSuchDeviceError
from wayhouse.overlay import door_words as words
from wayhouse.overlay.goods import Goods, right
from wayhouse.overlay.once import Once
from wayhouse.overlay.shares import May, Share

READ = (Share(what="device:lamp", to="any"), Share(what="device:boiler", to="any"))
COMMAND = (Share(what="device:*", to="any", may=May.COMMAND),)
GREETER = (Share(what="service:greeter", to="any"),)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Giver]:
    async with giver(tmp_path) as made:
        yield made


@pytest.fixture
async def goods(house: Giver) -> AsyncIterator[Goods]:
    async with Tasks() as tasks:
        yield Goods(house.devices, house.services, Once(tasks))


def command(house: Giver, name: str, path: str, value: object, request: str = "") -> words.Command:
    return words.Command(device=house.devices.get(name).id, command=path, value=value, request=request)


def test_only_what_is_shared_is_shown(goods: Goods, house: Giver) -> None:
    assert [view.name for view, _ in goods.devices(READ)] == ["boiler", "lamp"]
    assert list(goods.devices(())) == []
    assert list(goods.devices(GREETER)) == []
    assert len(list(goods.devices(COMMAND))) == len(house.devices.all())


async def test_a_part_or_a_former_name_gives_nothing_and_the_id_lasts(goods: Goods, house: Giver) -> None:
    by_id = (Share(what=f"device:{house.devices.get('lamp').id}", to="any"),)
    part = (Share(what="device:tv-volume", to="any"),)
    await house.devices.rename("lamp", "desk")
    assert [view.name for view, _ in goods.devices(by_id)] == ["desk"]
    assert [view.name for view, _ in goods.devices(READ)] == ["boiler"]
    assert list(goods.devices(part)) == []


def test_what_a_peer_shared_is_not_passed_on(house: Giver) -> None:
    import msgspec

    view = msgspec.structs.replace(house.devices.get("lamp"), driver="peers")
    assert right(COMMAND, view) is None
    assert right((Share(what="device:lamp", to="any"),), view) is None


async def test_a_device_goes_out_without_its_config(goods: Goods, house: Giver) -> None:
    await house.devices.configure(
        "boiler", {"name": "boiler", "unit": "K", "password": "secret", "wave": "linear"}
    )
    word = goods.word(house.devices.get("boiler"), May.READ)
    assert (word.oid, word.config, word.may) == ("sensor.temperature", {"unit": "K"}, "read")
    assert set(word.commands) == {"value"}
    assert word.commands["value"]["unit"] == "K"


async def test_reading(goods: Goods, house: Giver) -> None:
    boiler = house.devices.get("boiler").id
    value = await goods.read(READ, words.Read(device=boiler, command="value"))
    assert 40.0 <= value <= 70.0
    for secret in ("config", "poll", "commands", "nothing"):
        with pytest.raises(NoSuchCommandError):
            await goods.read(READ, words.Read(device=boiler, command=secret))
    house.fake.unplug("boiler")
    with pytest.raises(DeviceGoneError):
        await goods.read(READ, words.Read(device=boiler, command="value"))


async def test_what_is_not_shared_and_what_is_not_there_sound_alike(goods: Goods, house: Giver) -> None:
    told = []
    for device in (house.devices.get("tv").id, "nothing", "lamp"):
        with pytest.raises(NoSuchDeviceError) as raised:
            await goods.read(READ, words.Read(device=device, command="power"))
        told.append(raised.value.message)
    assert len(set(told)) == 1


async def test_commanding(goods: Goods, house: Giver) -> None:
    with pytest.raises(ForbiddenError):
        await goods.command(READ, VISITOR, command(house, "lamp", "power", value=True))
    assert await goods.command(COMMAND, VISITOR, command(house, "lamp", "power", value=True)) is True
    assert house.devices.log("lamp")[0].who == "attic.home"
    for wrong, error in ((None, BadInputError), ("on", BadValueError)):
        with pytest.raises(error):
            await goods.command(COMMAND, VISITOR, command(house, "lamp", "power", wrong))
    with pytest.raises(NoSuchCommandError):
        await goods.command(COMMAND, VISITOR, command(house, "lamp", "config", {"name": "mine"}))
    with pytest.raises(BadInputError):
        await goods.command(COMMAND, VISITOR, command(house, "lamp", "power", value=True, request="x" * 65))


async def test_a_command_that_is_told_again_is_done_once(goods: Goods, house: Giver) -> None:
    for request in ("one", "one", "two"):
        await goods.command(COMMAND, VISITOR, command(house, "tv", "volume.up", value=True, request=request))
    assert await house.devices.command("tv-volume", "level") == 2


async def test_services(goods: Goods, house: Giver) -> None:
    ask = words.Call(service="greeter", frames=words.wrap([b"hi"]))
    assert await goods.call(GREETER, VISITOR, ask) == [b"greeter", b"called", b"hi"]
    for given in ((), READ, COMMAND):
        with pytest.raises(NotFoundError):
            await goods.call(given, VISITOR, ask)
    services: FakeServices = house.services
    services.is_up = False
    with pytest.raises(UnavailableError):
        await goods.call(GREETER, VISITOR, ask)


async def test_a_durable_call_has_an_id_that_no_other_peer_can_name(goods: Goods, house: Giver) -> None:
    import msgspec

    ask = words.Call(service="greeter", request="mine")
    other = msgspec.structs.replace(VISITOR, uid="ef" * 20)
    for visitor in (VISITOR, VISITOR, other):
        assert (await goods.call(GREETER, visitor, ask))[1] == b"asked"
    first, again, others = (uuid for _, uuid in house.services.asked)
    assert first == again != others
    assert len(first) == 16
