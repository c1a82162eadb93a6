"""What peers share becomes devices and services here: two gateways on the loopback, of which one shares.

# covers: gateway/far_peer.py
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.parts.share_lab import (
    GIVER,
    GIVER_UID,
    PATIENCE_S,
    TAKER,
    Giver,
    LoopbackLinks,
    giver,
    link,
    until,
)
from wayhouse.base.clock import SystemClock
from wayhouse.base.database import Database
from wayhouse.base.errors import WayhouseError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.devices.drivers.peers import PeersDriver
from wayhouse.devices.model import CommandNotAllowedError, DeviceGoneError, DriverFailedError
from wayhouse.devices.register import standard_register
from wayhouse.devices.server import Pace
from wayhouse.devices.service import Devices
from wayhouse.gateway import far_devices, far_peer
from wayhouse.gateway.far_devices import FarDevices
from wayhouse.gateway.far_peer import Far, FarPeer
from wayhouse.overlay import door_words as words
from wayhouse.overlay.drivers import far_gateway
from wayhouse.overlay.orders import Founding
from wayhouse.overlay.service import Overlays
from wayhouse.overlay.shares import May, Share
from wayhouse.overlay.views import OverlayChanged

LAMP = Share(what="device:lamp", to="tag:family", may=May.COMMAND)
BOILER = Share(what="device:boiler", to="any")
FAR = Far("home", GIVER_UID, "barn", GIVER, "", on_demand=False)


class FakeBus:
    hostname = "attic"

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[[list[bytes]], Awaitable[list[bytes]]]] = {}

    def serve(self, services: Mapping[str, Any]) -> None:
        self.handlers.update(services)

    def serves(self, name: str) -> bool:
        return name in self.handlers

    async def withdraw(self, name: str) -> None:
        self.handlers.pop(name, None)


class Taker:
    def __init__(self, database: Database, port: int) -> None:
        self.events, self.links, self.bus = Events(), LoopbackLinks(TAKER), FakeBus()
        clock, register = SystemClock(), standard_register()
        self.overlays = Overlays(database, clock, self.links, hostname="attic", events=self.events)
        self.far = FarDevices(self.overlays, self.bus, register, events=self.events, clock=clock, port=port)  # type: ignore[arg-type]
        self.devices = Devices(
            database, self.events, clock, [PeersDriver(self.far)], hostname="attic", register=register, pace=Pace(round_s=0.02)
        )  # fmt: skip
        self.far.know(self.devices)

    def linked(self, *, is_so: bool = True) -> None:
        self.links.peers["home"] = (link(GIVER_UID, "barn", GIVER),) if is_so else ()
        self.events.publish(OverlayChanged("home"))

    def is_available(self, name: str) -> bool:
        return any(one.name == name and one.is_available for one in self.devices.all())


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_S", "AGAIN_S", "LONGEST_S"):
        monkeypatch.setattr(far_gateway, name, 0.02)
    monkeypatch.setattr(far_devices, "SETTLE_S", 0.05)  # nobody tells of an interface here


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Giver]:
    async with giver(tmp_path) as made:
        await made.share(LAMP, BOILER)
        yield made


@pytest.fixture
async def taker(tmp_path: Path, house: Giver) -> AsyncIterator[Taker]:
    database = Database(tmp_path / "taker.db")
    made = Taker(database, house.port)
    await made.overlays.found(Founding(name="home", subnet="10.213.0.0/24"))
    async with Tasks() as tasks:
        made.linked()
        made.devices.start(tasks)
        tasks.spawn(made.far.run(), name="far")
        yield made
    made.devices.close()
    database.close()


async def test_a_far_device_is_seen_read_and_commanded(house: Giver, taker: Taker) -> None:
    await until(lambda: taker.is_available("barn_lamp") and taker.is_available("barn_boiler"))
    assert len(taker.devices.all()) == 2
    assert 40.0 <= await taker.devices.command("barn_boiler", "value") <= 70.0
    await taker.devices.command("barn_lamp", "power", value=True)
    assert await house.devices.command("lamp", "power") is True
    await house.devices.command("lamp", "power", value=False)
    await until(lambda: taker.devices.last("barn_lamp", "power").value is False)  # type: ignore[union-attr]
    assert taker.devices.get("barn_lamp").address == f"home/{GIVER_UID}/{house.devices.get('lamp').id}"


async def test_after_an_upgrade_nobody_waits_for_a_peer_that_never_gave_anything(
    house: Giver, taker: Taker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until(lambda: taker.is_available("barn_lamp"))
    monkeypatch.setattr(far_devices, "SETTLE_S", 1000.0)
    monkeypatch.setattr(words, "SILENT_S", 1000.0)
    monkeypatch.setattr(taker.links, "interface", "lo")
    taker.links.peers["home"] += (link("ef" * 20, "shed", "127.0.0.3"),)
    silent = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.3", house.port)
    async with silent, asyncio.timeout(PATIENCE_S), Tasks() as tasks:
        heir = FarDevices(
            taker.overlays, FakeBus(), standard_register(), events=taker.events, clock=SystemClock(), port=house.port  # type: ignore[arg-type]
        )  # fmt: skip
        heir.know(taker.devices)
        running = tasks.spawn(heir.run(), name="heir")
        found = await heir.devices()
        running.cancel()
    assert {one.config["name"] for one in found} == {"barn_lamp", "barn_boiler"}


async def test_what_is_received_is_told_until_it_is_taken_back(house: Giver, taker: Taker) -> None:
    await house.share(
        LAMP, Share(what="service:a.b", to="any"), Share(what="app:hello", to="any", port=18080)
    )
    await until(lambda: taker.is_available("barn_lamp") and taker.far.received("home")[0].apps)
    (one,) = taker.far.received("home")
    assert (one.uid, one.name, one.address) == (GIVER_UID, "barn", GIVER)
    (lamp,) = (each for each in one.devices if each.name == "lamp")
    assert (lamp.id, lamp.may, lamp.is_available) == (taker.devices.get("barn_lamp").id, "command", True)
    assert one.services == ("peers.barn.home.a.b",)
    assert one.apps == {18080: "hello"}
    await house.share()
    await until(lambda: not taker.far.received("home")[0].devices)
    (one,) = taker.far.received("home")
    assert (one.services, one.apps) == ((), {})
    with pytest.raises(WayhouseError, match="no overlay"):
        taker.far.received("nowhere")


async def test_it_is_asked_when_nothing_was_told_of_late(
    house: Giver, taker: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until(lambda: taker.is_available("barn_lamp"))
    monkeypatch.setattr(far_devices, "FRESH_S", 0.0)
    assert await taker.devices.command("barn_lamp", "power") is False
    house.fake.unplug("lamp")
    with pytest.raises(DeviceGoneError, match="unplugged"):
        await taker.devices.command("barn_lamp", "power")


async def test_what_is_not_allowed_is_refused_by_the_one_that_shares(house: Giver, taker: Taker) -> None:
    await house.share(Share(what="device:lamp", to="any"))
    await until(lambda: taker.is_available("barn_lamp"))
    with pytest.raises(CommandNotAllowedError, match="shared to be read"):
        await taker.devices.command("barn_lamp", "power", value=True)
    assert await house.devices.command("lamp", "power") is False


async def test_availability_follows_the_device_the_share_and_the_link(house: Giver, taker: Taker) -> None:
    await until(lambda: taker.is_available("barn_boiler"))
    house.fake.unplug("boiler")
    with pytest.raises(DeviceGoneError):
        await house.devices.command("boiler", "value")
    await until(lambda: not taker.is_available("barn_boiler"))
    house.fake.plug("boiler")
    await house.devices.command("boiler", "value")
    await until(lambda: taker.is_available("barn_boiler"))
    taker.linked(is_so=False)
    await until(lambda: not taker.is_available("barn_lamp"))
    assert taker.devices.get("barn_lamp").reason == "There is no link to barn.home."
    with pytest.raises(WayhouseError):
        await taker.devices.command("barn_lamp", "power", value=True)
    taker.linked()
    await until(lambda: taker.is_available("barn_lamp"))
    await house.share(BOILER)
    await until(lambda: not taker.is_available("barn_lamp"))
    assert taker.devices.get("barn_lamp").reason == "barn.home shares it no more."
    assert taker.is_available("barn_boiler")


async def test_services_of_peers_are_on_the_bus_here(house: Giver, taker: Taker) -> None:
    await until(lambda: taker.is_available("barn_lamp"))
    assert set(taker.bus.handlers) == {f"attic.peers.{facet}" for facet in ("devices", "mmi", "statistics")}
    await house.share(LAMP, Share(what="service:kitchen.greeter", to="any"))
    name = "peers.barn.home.kitchen.greeter"
    taker.linked()
    await until(lambda: taker.linked() or name in taker.bus.handlers)
    handler = taker.bus.handlers[name]
    assert await handler([b"hi", b"\0\xff"]) == [b"kitchen.greeter", b"asked", b"hi", b"\0\xff"]
    house.services.is_up = False
    assert (await handler([b"hi"]))[-1] == b"503"
    assert (await handler([b"x" * 200_000]))[-1] == b"400"
    await house.share(LAMP)
    await until(lambda: taker.linked() or name not in taker.bus.handlers)
    assert (await handler([b"hi"]))[-1] == b"404"


async def test_without_overlays_nothing_waits_and_nothing_is_served(tmp_path: Path) -> None:
    database = Database(tmp_path / "alone.db")
    taker = Taker(database, 1)
    async with Tasks() as tasks:
        tasks.spawn(taker.far.run(), name="far")
        assert await taker.far.devices() == []
        assert taker.bus.handlers == {}
    with pytest.raises(DeviceGoneError):
        await taker.far.read("home/x/y", "power")
    taker.devices.close()
    database.close()


class Ears:
    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def told(self, address: str, command: str, value: Any) -> None:
        self.heard.append((address, command, value))

    def gone(self, address: str, reason: str) -> None:
        self.heard.append((address, reason))

    def look(self) -> None: ...


def lamp(number: int | str, **more: Any) -> words.Device:
    return words.Device(**{"id": str(number), "name": "lamp", "oid": "switch", "is_available": True, **more})


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def peer(ears: Ears) -> FarPeer:
    return FarPeer(FAR, standard_register(), SystemClock(), lambda: ears)


def test_only_what_fits_is_taken(peer: FarPeer, ears: Ears) -> None:
    for odd in (
        lamp("x" * 65), lamp(""), lamp("\n"), lamp(1, oid="rocket"), lamp(2, oid="sensor.number", config={"unit": 7}),
        lamp(3, oid=""),
    ):  # fmt: skip
        peer.told(odd)
    assert list(peer.devices()) == []
    for number in range(400):
        peer.told(lamp(number))
    assert len(list(peer.devices())) == far_peer.MOST_OF_ONE
    peer.told(words.Value(id="1", command="rocket", value=1))
    peer.told(words.Value(id="399", command="power", value=True))
    peer.told(words.Gone(id="399"))
    assert ears.heard == []
    peer.told(
        words.Services(names=("", "a b", "ä", "x" * 201, "good", *(f"s{number}" for number in range(100))))
    )
    assert peer.services[:1] == ("good",)
    assert len(peer.services) <= far_peer.MOST_SERVICES


def test_a_value_that_is_too_long_is_told_and_not_kept(peer: FarPeer, ears: Ears) -> None:
    peer.told(lamp(1, oid="sensor.text"))
    for value in ("short", "x" * 20_000):
        peer.told(words.Value(id="1", command="value", value=value))
    assert len(ears.heard) == 2
    assert peer.values == {}


def test_what_is_not_told_again_after_a_pause_is_gone(peer: FarPeer, ears: Ears) -> None:
    for word in (lamp(1), lamp(2), words.Services()):
        peer.told(word)
    peer.begun()
    peer.told(lamp(2))
    assert len(list(peer.devices())) == 2
    peer.told(words.Services())
    assert [one.address for one in peer.devices()] == [f"home/{GIVER_UID}/2"]
    assert ears.heard == [(f"home/{GIVER_UID}/1", "barn.home shares it no more.")]


async def test_peers_cannot_fill_the_roster(
    taker: Taker, peer: FarPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until(lambda: taker.is_available("barn_lamp"))
    monkeypatch.setattr(far_devices, "MOST_OF_ONE", 3)
    for number in range(10):
        next(iter(taker.far._peers.values())).told(lamp(number))
    assert len(await taker.far.devices()) <= 3
    await asyncio.sleep(0)


async def test_a_peer_that_does_not_answer_is_its_devices_fault(taker: Taker, peer: FarPeer) -> None:
    taker.far._peers.clear()
    taker.far._peers[FAR] = peer
    with pytest.raises(DeviceGoneError, match="does not share it"):
        await taker.far.command(f"{peer.prefix}1", "power", value=True)
    peer.told(lamp(1))
    peer.gateway = far_gateway.FarGateway(GIVER, "", peer, SystemClock(), port=1)
    with pytest.raises(DriverFailedError, match=r"barn.home: .*does not answer"):
        await taker.far.command(f"{peer.prefix}1", "power", value=True)
