"""The bus, devices and automation joined: a whole small house with a real bus, in this process."""

# covers: gateway/assemble_things.py, gateway/scenario_actions.py, gateway/scenario_sources.py, gateway/pictures.py

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from wayhouse.access.audit import Audit
from wayhouse.access.bus_keys import BusPeers
from wayhouse.access.store import AccessStore
from wayhouse.automation.model import Job, JobRan, Value
from wayhouse.automation.runs import ScenarioChanged
from wayhouse.automation.scenario import Conf, Scenario
from wayhouse.base.clock import SystemClock
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError, NotFoundError
from wayhouse.base.events import Events
from wayhouse.base.metrics import Metrics
from wayhouse.base.settings import Paths
from wayhouse.base.tasks import Tasks
from wayhouse.bus.model import OK, Frames
from wayhouse.bus.processes import BusSettings
from wayhouse.devices.drivers.fake import FakeDriver
from wayhouse.devices.drivers.settings import DeviceSettings
from wayhouse.gateway.assemble_things import LOCK_FILE, assemble_things, count_things
from wayhouse.gateway.pictures import Pictures
from wayhouse.gateway.scenario_actions import CommandRefusedError, ScenarioActions, plain
from wayhouse.gateway.scenario_sources import ScenarioSources
from wayhouse.gateway.settings import Settings
from wayhouse.gateway.things import Rooms, Things

SETTINGS = Settings(bus=BusSettings(port=0), devices=DeviceSettings(fake=True, onewire=""))
ID = "00112233445566778899aabbccddeeff"


class Heard:
    """What the scenarios' manager would be told, for the entries that it would have."""

    def __init__(self, *sources: str) -> None:
        entries = {f"entry {number}": source for number, source in enumerate(sources)}
        self.scenarios = {"one": Scenario(name="one", entries=entries)}
        self.told: list[tuple[str, Value]] = []

    def get(self, name: str) -> Scenario:
        if name not in self.scenarios:
            raise NotFoundError(name)
        return self.scenarios[name]

    def receive(self, source: str, value: Value) -> None:
        self.told.append((source, value))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[tuple[Rooms, Things]]:
    paths = Paths.under(tmp_path)
    for path in (paths.data, paths.runtime):
        path.mkdir(parents=True, exist_ok=True)
    database, events = Database(paths.data / "x.db"), Events()
    lock = paths.data / LOCK_FILE
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        async with asyncio.timeout(90), Tasks() as tasks:
            clock = SystemClock()
            made = assemble_things(
                SETTINGS,
                paths,
                database=database,
                events=events,
                clock=clock,
                tasks=tasks,
                peers=BusPeers(paths.config / "keys", Audit(AccessStore(database), clock)),
            )
            async with made.bus:
                await made.bus.start()
                things = Things(made, events, tasks, is_upgrade=False)
                things.carry_on()
                await made.bus.ready()
                await until(
                    lambda: len(made.devices.all()) == 6 and made.devices.last("lamp", "power") is not None
                )
                yield made, things
                await things.rest(1.0)
    database.close()


@pytest.fixture
def rooms(house: tuple[Rooms, Things]) -> Rooms:
    return house[0]


@pytest.fixture
def sources(rooms: Rooms) -> ScenarioSources:
    """One more: that of the gateway tells its own scenarios."""
    return ScenarioSources(rooms.bus, rooms.devices, rooms.sources._events)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def test_the_manuals_discovery_from_the_brokers_address_to_every_value(rooms: Rooms) -> None:
    async def found(pattern: bytes) -> list[bytes]:
        return (await rooms.bus.call("mmi.discovery", [pattern]))[:-1]

    await until(lambda: rooms.bus.is_up)
    while not await found(rb".*\.devices\..*"):
        await asyncio.sleep(0.01)
    for service in await found(rb".*\.devices$"):
        keys, status = await rooms.bus.call(service.decode(), [b"list_keys"])
        assert status == OK
        assert keys.split(b"|") == [b"boiler", b"hall", b"lamp", b"roof", b"rtc", b"tv"]
        value, status = await rooms.bus.call(service.decode(), [b"get", b"boiler", b"value"])
        assert (40.0 <= float(value) <= 70.0, status) == (True, OK)


async def test_every_value_is_a_key_of_the_clone(rooms: Rooms) -> None:
    async with rooms.bus.subscriber("/device/") as seen:
        await until(lambda: "/device/localhost.fake.boiler" in seen.kvmap)
        await rooms.devices.command("lamp", "power", True)
        key = "/device/localhost.fake.lamp/power"
        await until(lambda: key in seen.kvmap and seen.kvmap[key].body == b"true")


async def test_a_command_of_a_scenario_is_done_once(rooms: Rooms) -> None:
    actions = ScenarioActions(rooms.bus, rooms.devices)
    assert await actions.command("lamp", "power", True, request_id=ID) is True
    await rooms.devices.command("lamp", "power", False)
    assert await actions.command("lamp", "power", True, request_id=ID) is True
    last = rooms.devices.last("lamp", "power")
    assert last is not None
    assert last.value is False
    await actions.settled(ID)
    assert await actions.command("lamp", "power", None, request_id=ID[::-1]) is False


async def test_what_cannot_be_done_says_why(rooms: Rooms) -> None:
    actions = ScenarioActions(rooms.bus, rooms.devices)
    with pytest.raises(NotFoundError):
        await actions.command("nobody", "power", True, request_id=ID)
    with pytest.raises(CommandRefusedError, match="level"):
        await actions.command("hall", "level", 1000, request_id=ID)


async def test_any_service_of_the_bus_can_be_told(rooms: Rooms) -> None:
    async def shout(body: Frames) -> list[bytes]:
        return [body[0].upper() + body[-1], OK]

    rooms.bus.serve({"localhost.shout": shout})
    actions = ScenarioActions(rooms.bus, rooms.devices)
    assert await actions.command("service:localhost.shout", "hey", "x", request_id=ID) == "HEYx"
    other = ID[::-1]
    assert await actions.command("service:localhost.shout?idempotent", "ho", None, request_id=other) == "HOho"


async def test_scenarios_hear_of_devices_jobs_and_keys(rooms: Rooms, sources: ScenarioSources) -> None:
    heard = Heard(
        "device:lamp/power", "device:localhost.fake.boiler", "key:/house/mood", "cron:tea", "device:x"
    )
    async with Tasks() as tasks:
        listening = tasks.spawn(sources.run(heard), name="sources")
        await until(lambda: ("device:lamp/power", False) in heard.told)
        await rooms.devices.command("lamp", "power", True)
        await until(lambda: ("device:lamp/power", True) in heard.told)
        await rooms.devices.rename("lamp", "bulb")
        await rooms.devices.command("bulb", "power", False)
        await until(lambda: heard.told.count(("device:lamp/power", False)) >= 2)
        rooms.bus.publish("/house/mood", b'"calm"')
        await until(lambda: ("key:/house/mood", "calm") in heard.told)
        assert sources.current("key:/house/mood") == "calm"
        await rooms.crons.add(Job(name="tea", schedule="0 5 * * *"))
        await rooms.crons.run("tea")
        await until(lambda: any(source == "cron:tea" for source, _ in heard.told))
        listening.cancel()
        await asyncio.wait([listening])
    assert sources.current("key:/house/mood") is None
    assert sources.current("device:x") is None
    assert isinstance(sources.current("device:boiler"), float)


@pytest.mark.parametrize("source", ["", "lamp", "device:", "nothing:x"])
async def test_a_source_of_no_kind_is_refused(rooms: Rooms, source: str) -> None:
    rooms.sources.check("device:perhaps one day")
    with pytest.raises(BadInputError, match="device:<name>"):
        rooms.sources.check(source)


async def test_a_scenario_acts_on_what_it_sees(rooms: Rooms) -> None:
    code = 'command("hall", "level", 42 if value("lamp") else 7)\nvariables["done"] = True'
    scenario = Scenario(name="dim", entries={"lamp": "device:lamp/power"}, code=code, conf=Conf(active=True))
    await rooms.scenarios.add(scenario)
    await rooms.devices.command("lamp", "power", True)

    def level() -> Value:
        last = rooms.devices.last("hall", "level")
        return None if last is None else last.value

    await until(lambda: level() == 42)
    await rooms.devices.command("lamp", "power", False)
    await until(lambda: level() == 7)
    async with rooms.bus.subscriber("/scenario/") as seen:
        await until(lambda: "/scenario/dim/done" in seen.kvmap)


async def test_a_device_that_comes_later_is_heard_and_one_that_goes_is_not(
    rooms: Rooms, sources: ScenarioSources
) -> None:
    heard = Heard("device:shed", "device:lamp/power")
    async with Tasks() as tasks:
        listening = tasks.spawn(sources.run(heard), name="sources")
        await until(lambda: ("device:shed", None) in heard.told)
        await rooms.devices.new({"oid": "sensor.temperature", "name": "shed"}, driver="fake", address="shed")
        await until(lambda: any(source == "device:shed" and value for source, value in heard.told))
        heard.told.clear()
        await rooms.devices.delete("shed")
        heard.scenarios["two"] = Scenario(name="two", entries={"hall": "device:hall/level"})
        rooms.sources._events.publish(ScenarioChanged("two", None))
        await asyncio.sleep(0.05)
        await rooms.devices.command("hall", "level", 9)
        await until(lambda: ("device:hall/level", 9) in heard.told)
        del heard.scenarios["two"]
        rooms.sources._events.publish(ScenarioChanged("two", None))
        await asyncio.sleep(0.05)
        await rooms.devices.command("hall", "level", 10)
        await rooms.devices.command("lamp", "power", True)
        await until(lambda: ("device:lamp/power", True) in heard.told)
        assert ("device:hall/level", 10) not in heard.told
        listening.cancel()
        await asyncio.wait([listening])


async def test_what_metrics_tell(rooms: Rooms) -> None:
    metrics = Metrics()
    count_things(metrics, rooms)
    await until(lambda: all(one.is_available for one in rooms.devices.all()))
    text = metrics.render()
    assert 'wayhouse_devices{available="yes",driver="fake"} 6' in text
    assert "wayhouse_bus_up 1" in text


async def test_only_cameras_have_pictures(rooms: Rooms) -> None:
    class Camera(FakeDriver):
        async def picture(self, address: str) -> tuple[bytes, str]:
            return address.encode(), "image/jpeg"

    assert await rooms.pictures.of("lamp") is None
    assert await Pictures(rooms.devices, [Camera()]).of("tv") == (b"tv", "image/jpeg")
    with pytest.raises(NotFoundError):
        await rooms.pictures.of("nobody")


@pytest.mark.parametrize(
    ("body", "value"),
    [(b"1", 1), (b"true", True), (b"x", "x"), (b"[1]", "[1]"), (b"null", None), (b"\xff", "�")],
)
def test_values_out_of_frames(body: bytes, value: Value) -> None:
    assert plain(body) == value


async def test_a_job_that_runs_as_the_gateway_rests_is_heard_of(house: tuple[Rooms, Things]) -> None:
    rooms, things = house
    tick = Scenario(name="tick", code="", entries={"job": "cron:tick"}, conf=Conf(active=True))
    await rooms.scenarios.add(tick)
    with rooms.sources._events.subscribe(JobRan) as heard:
        await rooms.crons.add(Job(name="tick", schedule="* * * * * *"))
        last = await anext(heard)
        database = rooms.crons._store._database
        await database.hold()
        resting = asyncio.ensure_future(things.rest(1.0))
        await asyncio.sleep(1.2)
        database.go_on()
        await resting
        while heard._queue:
            last = await anext(heard)
    await rooms.crons.pause("tick")
    things.carry_on()
    await until(lambda: rooms.scenarios.runs("tick") and rooms.scenarios.runs("tick")[0].ended)
    await asyncio.sleep(0.2)
    assert rooms.scenarios.runs("tick")[0].started >= last.at
