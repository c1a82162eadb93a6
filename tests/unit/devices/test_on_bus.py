import asyncio
import contextlib
import json

import pytest

from tests.parts.broker_process import BrokerProcess
from wayhouse.base.errors import UnavailableError
from wayhouse.base.tasks import Tasks
from wayhouse.bus.async_client import AsyncMajorDomoClient
from wayhouse.bus.async_worker import AsyncMajorDomoWorker
from wayhouse.devices.model import DeviceChanged, ReadingTaken
from wayhouse.devices.on_bus import DeviceKeys, key_of, services
from wayhouse.devices.service import Devices


class Clone(dict):
    """What a subscriber would have."""

    def __call__(self, key, body, ttl_s=None):
        if body:
            self[key] = json.loads(body)
        else:
            del self[key]


@pytest.fixture
def clone():
    return Clone()


@pytest.fixture
def keys(devices, events, clone):
    found = DeviceKeys(devices, events, clone)
    found.publish_all()
    return found


@pytest.fixture
def facts(events):
    with events.subscribe(ReadingTaken, DeviceChanged) as found:
        yield found


@pytest.fixture
def catch_up(facts):
    """Follow what has happened until now."""

    async def run(keys):
        while facts._queue:
            keys.follow(await anext(facts))

    return run


def test_the_names_of_the_services(devices):
    assert sorted(services(devices, "gw", devices.drivers())) == [
        "gw.fake.devices",
        "gw.fake.mmi",
        "gw.fake.statistics",
    ]


async def test_the_manuals_discovery_ends_with_every_value(devices):
    handlers = services(devices, "here", devices.drivers())
    values = {}
    for name in (one for one in handlers if one.endswith(".devices")):
        listed, status = await handlers[name]([b"list_keys"])
        assert status == b"200"
        for device in listed.split(b"|"):
            value, status = await handlers[name]([b"get", device])
            assert status == b"200"
            values[device.decode()] = json.loads(value)
    assert set(values) == {"boiler", "hall", "lamp", "roof", "rtc", "tv"}
    assert values["lamp"] is False


@pytest.mark.parametrize("pattern", [r".*\.devices$", r".*\.devices\..*"])
async def test_who_knows_the_broker_alone_finds_every_value(devices, tmp_path, pattern):
    broker = BrokerProcess(tmp_path, "--heartbeat", "0.5")
    try:
        async with contextlib.AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(Tasks())
            for name, handler in services(devices, "here", devices.drivers()).items():
                worker = AsyncMajorDomoWorker(broker.address, name)
                await stack.enter_async_context(worker)
                tasks.spawn(worker.serve(handler), name=name)
            client = await stack.enter_async_context(AsyncMajorDomoClient(broker.tcp))
            while (await client.send("mmi.service", "here.fake.devices"))[-1] != b"200":
                await asyncio.sleep(0.01)
            *found, status = await client.send("mmi.discovery", pattern)
            assert (found, status) == ([b"here.fake.devices"], b"200")
            names, status = await client.send(found[0].decode(), "list_keys")
            assert (len(names.split(b"|")), status) == (6, b"200")
            for name in names.decode().split("|"):
                value, status = await client.send(found[0].decode(), ["get", name])
                assert (json.loads(value) is not None, status) == (True, b"200")
            assert await client.send("here.fake.mmi", "status") == [b"200"]
    finally:
        broker.kill()


async def test_how_a_driver_is(devices, fake, monkeypatch):
    mmi = services(devices, "here", devices.drivers())["here.fake.mmi"]
    assert await mmi([b"status"]) == [b"200"]
    assert await mmi([b"other"]) == await mmi([]) == [b"501"]

    async def fails():
        raise UnavailableError("no bus")

    monkeypatch.setattr(fake, "scan", fails)
    await devices._servers["fake"].scan()
    assert await mmi([b"status"]) == [b"500"]


async def test_statistics(devices):
    ask = services(devices, "here", devices.drivers())["here.fake.statistics"]
    told, status = await ask([b"all"])
    found = {key: one["value"] for key, one in json.loads(told).items()}
    assert status == b"200"
    assert found["fake.snmp.devices"] == 6
    assert found["fake.snmp.polls"] == 6
    assert found["fake.snmp.failures"] == 0
    assert (await ask([b"get", b"fake.snmp.readings"]))[-1] == b"200"
    assert await ask([b"what"]) == [b"501"]


def test_every_known_value_is_published_at_the_start(keys, clone, clock):
    assert clone["/device/here.fake.boiler"] == pytest.approx(55.0, abs=16)
    assert clone["/device/here.fake.boiler/available"] is True
    assert clone["/device/here.fake.roof/direction"] >= 0
    assert clone["/device/here.fake.lamp/power"] is False
    assert clone["/device/here.fake.tv.volume/level"] == 0


async def test_values_and_health_are_followed(keys, devices, fake, clone, catch_up):
    await devices.command("lamp", "power", value=True)
    await devices.command("tv-volume", "level", 7)
    fake.unplug("hall")
    await devices._servers["fake"].scan()
    await catch_up(keys)
    assert clone["/device/here.fake.lamp/power"] is True
    assert clone["/device/here.fake.tv.volume/level"] == 7
    assert clone["/device/here.fake.hall/available"] is False


async def test_a_new_name_takes_the_old_keys_away(keys, devices, clone, catch_up):
    before = {key for key in clone if "tv" in key}
    await devices.rename("tv", "screen")
    await catch_up(keys)
    assert before.isdisjoint(clone)
    assert {key.replace("tv", "screen") for key in before} == {key for key in clone if "screen" in key}
    await devices.delete("screen")
    await catch_up(keys)
    assert not any("screen" in key for key in clone)


async def test_when_it_fell_behind_it_begins_anew(devices, events, clone, monkeypatch):
    monkeypatch.setattr("wayhouse.devices.on_bus.WAITING", 1)
    keys = DeviceKeys(devices, events, clone)
    async with Tasks() as tasks:
        keys.start(tasks)
    clone.clear()
    async with Tasks() as tasks:
        keys.start(tasks)
        await devices.command("hall", "level", 1)
        await devices.delete("tv")
        while clone.get("/device/here.fake.hall/level") != 1 or "/device/here.fake.tv/power" in clone:
            await devices.command("lamp", "power", value=True)


async def test_a_device_removed_unseen_is_deleted(keys, devices, events, clone):
    await devices.delete("lamp")
    keys.publish_all()
    assert "/device/here.fake.lamp/power" not in clone


def test_keys():
    assert key_of("h.d.x", "value") == "/device/h.d.x"
    assert key_of("h.d.x", "level") == "/device/h.d.x/level"
    assert key_of("h.d.x.sub", "sub.value") == "/device/h.d.x.sub"


async def test_without_drivers_there_is_nothing(database, events, clock):
    assert services(Devices(database, events, clock), "here", ()) == {}
