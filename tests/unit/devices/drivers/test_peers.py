"""Devices of other gateways, behind the driver's face."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.clock import ManualClock
from wayhouse.base.database import Database
from wayhouse.base.events import Events
from wayhouse.devices import names
from wayhouse.devices.drivers.peers import PeersDriver, found, name_of
from wayhouse.devices.model import CommandNotAllowedError, DeviceGoneError, Found, Value
from wayhouse.devices.ports import Listener
from wayhouse.devices.service import Devices


class Far:
    """A far house with a lamp."""

    def __init__(self) -> None:
        self.there: list[Found] = [found("home/ab/1", "barn", "lamp", "switch", {"poll": 7, "secret": "x"})]
        self.power: Value = False
        self.listener: Listener | None = None
        self.refusal: Exception | None = None

    async def devices(self) -> Sequence[Found]:
        return self.there

    async def read(self, address: str, command: str) -> Value:
        return self.power

    async def command(self, address: str, command: str, value: Value) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.power = value

    def listen(self, listener: Listener) -> None:
        self.listener = listener


@pytest.fixture
def far() -> Far:
    return Far()


@pytest.fixture
async def devices(database: Database, events: Events, clock: ManualClock, far: Far) -> Devices:
    made = Devices(database, events, clock, [PeersDriver(far)], hostname="here")
    await made._servers["peers"].round()
    return made


async def test_it_is_read_and_commanded_like_ones_own(devices: Devices, far: Far) -> None:
    view = devices.get("barn_lamp")
    assert (view.fullname, view.is_available, view.config) == (
        "here.peers.barn_lamp", True, {"oid": "switch", "name": "barn_lamp", "poll": 0},
    )  # fmt: skip
    assert await devices.command("barn_lamp", "power", value=True) is True
    assert far.power is True
    assert await devices.command("barn_lamp", "power") is True


async def test_what_the_far_gateway_does_not_allow_does_not_make_it_ill(devices: Devices, far: Far) -> None:
    far.refusal = CommandNotAllowedError("It is shared to be read.")
    for _ in range(5):
        with pytest.raises(CommandNotAllowedError):
            await devices.command("barn_lamp", "power", value=True)
    assert devices.get("barn_lamp").is_available


async def test_what_is_shared_no_more_can_be_removed(devices: Devices, far: Far) -> None:
    server = devices._servers["peers"]
    far.there = []
    await server.scan()
    assert not devices.get("barn_lamp").is_available
    await devices.delete("barn_lamp")
    await server.scan()
    assert devices.all() == []


async def test_what_is_told_counts(devices: Devices, far: Far) -> None:
    assert far.listener is not None
    server = devices._servers["peers"]
    far.listener.gone("home/ab/1", "barn.home shares it no more.")
    await server.hear(await server._told.next())
    assert devices.get("barn_lamp").reason == "barn.home shares it no more."
    far.listener.told("home/ab/1", "power", value=True)
    await server.hear(await server._told.next())
    assert devices.get("barn_lamp").values["power"].value is True
    far.refusal = DeviceGoneError("away")
    with pytest.raises(DeviceGoneError):
        await devices.command("barn_lamp", "power", value=False)
    assert not devices.get("barn_lamp").is_available


@given(st.text(max_size=100), st.text(max_size=100))
def test_any_name_becomes_one_that_fits(gateway: str, name: str) -> None:
    names.check(name_of(gateway, name))
