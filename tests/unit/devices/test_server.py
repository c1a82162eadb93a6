import asyncio
import itertools

import pytest

from wayhouse.base.errors import UnavailableError
from wayhouse.base.tasks import Tasks
from wayhouse.devices.drivers.fake import FakeDriver
from wayhouse.devices.intake import Intake
from wayhouse.devices.log import DeviceLog
from wayhouse.devices.model import (
    DeviceChanged,
    DeviceGoneError,
    DriverFailedError,
    Found,
    NoSuchDeviceError,
    ReadingTaken,
)
from wayhouse.devices.readings import Readings
from wayhouse.devices.register import standard_register
from wayhouse.devices.roster import Roster
from wayhouse.devices.server import Pace, Server
from wayhouse.devices.service import Devices
from wayhouse.devices.store import DeviceStore
from wayhouse.devices.told import Fact, Gone


class Moody(FakeDriver):
    """A fake whose calls can be made to fail or hang."""

    trouble: Exception | None = None
    gate: asyncio.Event | None = None
    reads = 0

    async def scan(self):
        self._maybe()
        return await super().scan()

    async def read(self, place, command, now):
        self.reads += 1
        if self.gate is not None:
            await self.gate.wait()
        self._maybe()
        return await super().read(place, command, now)

    def _maybe(self):
        if self.trouble is not None:
            raise self.trouble


@pytest.fixture
def moody():
    return Moody()


@pytest.fixture
def server(database, events, clock, moody):
    roster = Roster(DeviceStore(database), standard_register())
    intake = Intake("here", Readings(database), DeviceLog(database), events)
    return Server(moody, roster, intake, clock, Pace(call_limit_s=0.05))


def device(server, name="boiler"):
    return server._roster.find(name)[0]


def drain(facts):
    return [facts._queue.popleft() for _ in range(len(facts._queue))]


async def test_the_first_round_finds_and_polls(server, events):
    with events.subscribe(DeviceChanged, ReadingTaken) as facts:
        await server.round()
        seen = drain(facts)
    added = {one.device.name for one in seen if isinstance(one, DeviceChanged) and one.kind == "added"}
    assert added == {"boiler", "roof", "lamp", "hall", "tv", "rtc"}
    available = {
        one.device.name for one in seen if isinstance(one, DeviceChanged) and one.kind == "available"
    }
    assert available == added
    assert {one.fullname for one in seen if isinstance(one, ReadingTaken)} >= {"here.fake.tv.volume"}


async def test_devices_are_polled_as_often_as_they_ask(server, clock, moody):
    await server.round()
    before = moody.reads
    clock.advance(59)
    await server.round()
    assert moody.reads == before
    clock.advance(1)
    await server.round()
    assert moody.reads == 2 * before - 1  # the clock is not polled


async def test_a_failing_device_is_asked_ever_more_rarely(server, clock, moody):
    await server.round()
    moody.trouble = DriverFailedError("broken")
    clock.advance(60)
    begun, tries = clock.monotonic(), []
    for _ in range(4000):
        before = moody.reads
        await server.poll(device(server)) if device(server).health.is_due(60, clock.monotonic()) else None
        tries += [clock.monotonic() - begun] * (moody.reads - before)
        clock.advance(1)
    assert tries[:3] == [0, 1, 3]
    gaps = [b - a for a, b in itertools.pairwise(tries)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == 900
    health = device(server).health
    assert (health.is_available, health.reason) == (False, "broken")


async def test_gone_and_back(server, clock, moody, events):
    await server.round()
    device_id = device(server).id
    with events.subscribe(DeviceChanged) as facts:
        moody.unplug("boiler")
        clock.advance(30)
        await server.round()
        assert [(one.kind, one.device.name) for one in drain(facts)] == [("unavailable", "boiler")]
        clock.advance(600)
        await server.round()
        moody.plug("boiler")
        clock.advance(30)
        await server.round()
        assert [(one.kind, one.device.id) for one in drain(facts)] == [("available", device_id)]


async def test_a_driver_without_a_bus_says_so_once(server, clock, moody, caplog):
    moody.trouble = UnavailableError("no bus")
    for _ in range(5):
        await server.round()
        clock.advance(1000)
    assert caplog.text.count("no bus") == 1
    moody.trouble = None
    await server.round()
    assert device(server).health.is_available


async def test_a_defect_in_a_driver_is_a_failure_of_its_device(server, moody, caplog):
    await server.round()
    moody.trouble = ZeroDivisionError("oops")
    with pytest.raises(DriverFailedError, match="ZeroDivisionError"):
        await server.read(device(server), "value")
    await server.poll(device(server))
    assert device(server).health.failures == 2
    assert "oops" in caplog.text


async def test_a_driver_that_hangs(server, moody):
    await server.round()
    moody.gate = asyncio.Event()
    results = await asyncio.gather(
        *(server.read(device(server), "value") for _ in range(3)), return_exceptions=True
    )
    assert {type(one) for one in results} == {DriverFailedError}
    moody.gate = None
    assert isinstance(await server.read(device(server), "value"), float)


async def test_a_device_removed_while_it_is_read_leaves_nothing(server, moody, database):
    await server.round()
    record = device(server)
    server._pace = Pace(call_limit_s=10)
    moody.gate = asyncio.Event()
    refused = []
    async with Tasks() as tasks:
        reading = tasks.spawn(refuse(server, record, refused), name="read")
        await asyncio.sleep(0)
        await server._roster.remove(record)
        await server._intake.readings.forget(record.id)
        moody.gate.set()
        await reading
    assert refused == [NoSuchDeviceError]
    assert database.read("SELECT count(*) FROM reading_series WHERE device_id = ?", (record.id,)) == [(0,)]


async def refuse(server, record, refused):
    try:
        await server.read(record, "value")
    except NoSuchDeviceError as error:
        refused.append(type(error))


async def test_a_write_is_kept_at_once(server, moody):
    await server.round()
    lamp = device(server, "lamp")
    await server.write(lamp, "power", value=True)
    assert lamp.values["power"].value is True
    moody.unplug("lamp")
    with pytest.raises(DeviceGoneError):
        await server.write(lamp, "power", value=False)
    assert lamp.values["power"].value is True
    assert not lamp.health.is_available


async def test_it_runs_as_a_task(server, events):
    with events.subscribe(ReadingTaken) as facts:
        async with Tasks() as tasks:
            tasks.spawn(server.run(), name="devices-fake")
            assert (await anext(facts)).time > 0


async def test_a_device_that_cannot_join_does_not_keep_the_others_out(database, events, clock, caplog):
    odd = FakeDriver([Found("a/b", "switch"), Found("x", "nothing"), Found("good", "switch")])
    roster = Roster(DeviceStore(database), standard_register())
    server = Server(odd, roster, Intake("here", Readings(database), DeviceLog(database), events), clock)
    await server.scan()
    await server.scan()
    assert [one.device.name for one in roster.all()] == ["good"]
    assert caplog.text.count("cannot join") == 2


async def test_two_of_a_name_get_a_number(database, events, clock):
    twins = FakeDriver([Found("a", "switch", {"name": "lamp"}), Found("b", "switch", {"name": "lamp"})])
    roster = Roster(DeviceStore(database), standard_register())
    await Server(twins, roster, Intake("here", Readings(database), DeviceLog(database), events), clock).scan()
    assert [one.device.name for one in roster.all()] == ["lamp", "lamp 2"]


async def test_after_a_button_the_device_is_looked_at_again(server):
    await server.round()
    tv = device(server, "tv")
    await server.write(tv, "volume.up", value=True)
    await server.round()
    assert tv.values["volume.level"].value == 1


class Teller(FakeDriver):
    """A fake whose devices speak up."""

    def listen(self, listener):
        self.listener = listener


async def test_what_devices_say_unasked(database, events, clock):
    teller = Teller()
    devices = Devices(database, events, clock, [teller], hostname="here")
    server = devices._servers["fake"]
    await server.round()
    for told, hears in (
        (Fact("lamp", "power", value=True), True),
        (Gone("lamp", "It is asleep."), True),
        (Fact("lamp", "power", value=False), False),
        (Fact("lamp", "power", "rubbish"), False),
        (Fact("lamp", "nothing", 1), False),
        (Fact("nobody", "power", value=True), False),
    ):
        await server.hear(told)
        assert devices.last("lamp", "power").value is hears
    async with Tasks() as tasks:
        tasks.spawn(server.listen(), name="listen")
        teller.listener.told("lamp", "power", True)
        teller.listener.gone("hall", "It is asleep.")
        teller.listener.look()
        while server._next_scan:
            await asyncio.sleep(0)
    assert devices.last("lamp", "power").value is True
    assert devices.get("hall").reason == "It is asleep."
    await server.round()
    assert devices.get("hall").is_available, "what is seen again after it was gone is back"


async def test_who_comes_before_the_first_look_waits_for_it_or_not_for_ever(server):
    await server.round()
    for ending in (server.scan, None):
        server.hold()
        reading = asyncio.create_task(server.read(device(server), "value"))
        await asyncio.sleep(0)
        assert not reading.done()
        if ending is not None:
            await ending()
        assert await asyncio.wait_for(reading, 5) > 0


async def test_a_look_that_fails_holds_nobody_up(server, moody):
    await server.round()
    server.hold()
    writing = asyncio.create_task(server.write(device(server, "lamp"), "power", True))
    await asyncio.sleep(0)
    moody.trouble = UnavailableError("broken")
    await server.scan()
    await asyncio.wait_for(writing, 5)
