import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.base.tasks import Tasks
from wayhouse.devices.drivers.fake import FakeDriver
from wayhouse.devices.model import (
    BadDeviceError,
    BadValueError,
    CommandNotAllowedError,
    DeviceChanged,
    DeviceGoneError,
    NoSuchCommandError,
    NoSuchDeviceError,
    NoSuchDriverError,
    ReadingTaken,
)
from wayhouse.devices.service import Devices


def test_what_there_is(devices):
    assert [one.name for one in devices.all()] == ["boiler", "hall", "lamp", "roof", "rtc", "tv"]
    assert devices.list_keys("fake") == ["boiler", "hall", "lamp", "roof", "rtc", "tv"]
    assert devices.drivers() == ["fake"]
    boiler = devices.get("boiler")
    assert (boiler.fullname, boiler.is_available) == ("here.fake.boiler", True)
    assert 40 <= boiler.values["value"].value <= 70
    with pytest.raises(NoSuchDriverError):
        devices.list_keys("zwave")
    with pytest.raises(NoSuchDeviceError):
        devices.get("nothing")


async def test_reading_and_writing(devices):
    assert await devices.command("lamp", "power", value=True) is True
    assert await devices.command("lamp", "power") is True
    assert devices.last("lamp", "power").value is True
    assert await devices.command_text("hall", "level", "40") == 40
    assert await devices.command("hall", "level") == 40


async def test_subdevices(devices):
    await devices.command("tv-volume", "level", 30)
    await devices.command("tv-volume", "up", value=True)
    assert await devices.command("tv", "volume.level") == 31
    assert devices.get("tv-volume").name == "tv"


@pytest.mark.parametrize(
    ("reference", "name", "value", "error"),
    [
        ("boiler", "value", 3.0, CommandNotAllowedError),
        ("tv-volume", "up", None, CommandNotAllowedError),
        ("hall", "level", 101, BadValueError),
        ("hall", "nothing", None, NoSuchCommandError),
        ("tv-volume", "power", None, NoSuchCommandError),
        ("nobody", "power", None, NoSuchDeviceError),
        ("boiler", "config", {"oid": "switch", "name": "x"}, BadDeviceError),
        ("boiler", "poll", -1, CommandNotAllowedError),
    ],
)
async def test_what_is_refused(devices, reference, name, value, error):
    with pytest.raises(error):
        await devices.command(reference, name, value)


async def test_commands_of_the_gateway_itself(devices):
    assert "value" in (await devices.command("boiler", "commands")).split("|")
    await devices.command("boiler", "poll", 5)
    assert (await devices.command("boiler", "config"))["poll"] == 5
    await devices.command("boiler", "reset", value=True)
    assert devices.get("boiler").values == {}
    await devices.command("boiler", "config", {"name": "kettle"})
    assert devices.get("boiler").name == "kettle"


async def test_renaming_breaks_nothing(devices, clock):
    before = devices.get("boiler")
    after = await devices.rename("boiler", "kettle")
    assert (after.id, after.name, after.fullname) == (before.id, "kettle", "here.fake.kettle")
    assert devices.get("boiler") == devices.get(before.id) == after
    await devices._servers["fake"].scan()
    assert len(devices.all()) == 6
    now = clock.wall()
    assert devices.readings("boiler", "value", now - 60, now)


async def test_areas(devices):
    await devices.move("lamp", "hall")
    await devices.move("hall", "hall")
    assert [one.name for one in devices.all(area="hall")] == ["hall", "lamp"]
    assert devices.areas() == ["hall"]
    await devices.move("lamp", "")
    assert [one.name for one in devices.all(area="hall")] == ["hall"]


async def test_a_device_made_by_hand(devices):
    view = await devices.new(
        {
            "oid": "sensor.temperature",
            "name": "attic",
            "wave": "linear",
            "slope_per_s": 0.0,
            "min": 3,
            "max": 9,
        },
        driver="fake",
    )
    assert (view.address, view.is_available) == ("attic", False)
    assert await devices.command("attic", "value") == 3.0
    with pytest.raises(NoSuchDriverError):
        await devices.new({"oid": "switch", "name": "x"}, driver="zwave")
    await devices.configure("attic", {"name": "attic", "wave": "nonsense"})
    with pytest.raises(Exception, match="wave"):
        await devices.command("attic", "value")


async def test_deleting_takes_the_history_too(devices, clock, database):
    device_id = devices.get("boiler").id
    await devices.delete("boiler")
    with pytest.raises(NoSuchDeviceError):
        devices.get(device_id)
    assert database.read("SELECT count(*) FROM reading_series WHERE device_id = ?", (device_id,)) == [(0,)]
    await devices._servers["fake"].scan()
    assert devices.get("boiler").id != device_id


async def test_events(devices, events):
    with events.subscribe(DeviceChanged, ReadingTaken) as facts:
        await devices.rename("lamp", "light")
        await devices.command("light", "power", value=True)
        await devices.delete("light")
        found = [await anext(facts) for _ in range(3)]
    assert [getattr(one, "kind", "reading") for one in found] == ["renamed", "reading", "removed"]


async def test_everything_outlives_a_restart(devices, database, events, clock):
    await devices.rename("boiler", "kettle")
    before = {one.id: (one.name, one.config) for one in devices.all()}
    again = Devices(database, events, clock, [FakeDriver()], hostname="here")
    await again._servers["fake"].round()
    assert {one.id: (one.name, one.config) for one in again.all()} == before


async def test_without_its_driver_a_device_is_there_but_cannot_be_asked(devices, database, events, clock):
    bare = Devices(database, events, clock, [])
    assert not bare.get("lamp").is_available
    with pytest.raises(NoSuchDriverError):
        await bare.command("lamp", "power")


async def test_a_device_that_is_gone(devices, fake):
    fake.unplug("lamp")
    with pytest.raises(DeviceGoneError):
        await devices.command("lamp", "power")
    view = devices.get("lamp")
    assert (view.is_available, view.last_seen is not None) == (False, True)
    assert "unplugged" in view.reason


def test_templates(devices):
    assert devices.template("switch") == devices.templates()["switch"]
    assert devices.template("media.tv")["subdevices"]["volume"]["commands"]["level"]["unit"] == "%"


async def test_started_as_tasks(database, events, clock):
    devices = Devices(database, events, clock, [FakeDriver()])
    with events.subscribe(ReadingTaken) as facts:
        async with Tasks() as tasks:
            devices.start(tasks)
            assert (await anext(facts)).fullname.startswith("localhost.fake.")
    devices.close()


async def test_what_happened_is_in_its_log_with_who_did_it(devices, fake):
    await devices.command("lamp", "power", value=True, who="ann")
    await devices.rename("lamp", "light", who="bob")
    await devices.configure("light", {"name": "light", "password": "secret", "poll": 5}, who="bob")
    await devices.command("light", "poll", 7, who="ann")
    fake.unplug("lamp")
    with pytest.raises(DeviceGoneError):
        await devices.command("light", "power", value=False, who="ann")
    told = [(one.kind, one.who, one.text) for one in reversed(devices.log("light"))]
    assert [one[:2] for one in told] == [
        ("added", ""), ("available", ""), ("command", "ann"), ("renamed", "bob"), ("configured", "bob"),
        ("configured", "ann"), ("unavailable", ""), ("failed", "ann"),
    ]  # fmt: skip
    assert told[2][2] == "power = true"
    assert told[4][2] == "Changed: password, poll."
    assert "unplugged" in told[7][2]
    await devices.delete("light")
    with pytest.raises(NoSuchDeviceError):
        devices.log("light")


async def test_several_histories_have_the_same_steps(devices, clock):
    for _ in range(3):
        clock.advance(60)
        await devices.command("boiler", "value")
        await devices.command("roof", "direction")
    now = clock.wall()
    graph = devices.graph(["boiler", "/device/here.fake.roof/direction", "hall"], now - 3600, now)
    assert [(one.title, one.unit) for one in graph.lines] == [
        ("boiler", "°C"), ("roof direction", "°"), ("hall level", "%"),
    ]  # fmt: skip
    assert {bucket.step_s for line in graph.lines for bucket in line.buckets} == {60}
    with pytest.raises(BadInputError):
        devices.graph([], 0, 1)
    with pytest.raises(BadInputError):
        devices.graph(["boiler"] * 99, 0, 1)


def test_a_full_name_finds_the_device_and_its_sub_devices(devices):
    assert devices.get("here.fake.boiler").name == "boiler"
    assert "level" in devices.commands("here.fake.tv.volume")
    for wrong in ("here.zwave.boiler", "there.fake.boiler", "here.fake", "here.fake.tv.nothing", "here."):
        with pytest.raises(NoSuchDeviceError):
            devices.get(wrong)


def test_the_main_command(devices):
    assert [devices.main_command(one) for one in ("boiler", "lamp", "tv-volume")] == [
        "value",
        "power",
        "level",
    ]
    assert devices.path_of("tv-volume", "level") == "volume.level"


async def test_a_driver_is_counted(devices):
    await devices.command("hall", "level", 4)
    counts = devices.counts("fake")
    assert (counts["devices"], counts["commands"], counts["failures"]) == (6, 1, 0)
    assert devices.is_well("fake")
    with pytest.raises(NoSuchDriverError):
        devices.is_well("zwave")


async def test_what_waits_is_kept_when_asked_and_at_the_end(devices, database, clock, events):
    await devices.keep()
    journal = "SELECT count(*) FROM reading_journal"
    before = database.read(journal)[0][0]
    await devices.command("boiler", "value")
    devices.close()
    await database.write(lambda _: None)
    assert database.read(journal)[0][0] == before + 1


def test_the_drivers_are_let_go_once(database, events, clock):
    closed = []

    class Counting(FakeDriver):
        def close(self):
            closed.append(self.name)

    devices = Devices(database, events, clock, [Counting()], hostname="here")
    devices.let_go()
    assert closed == ["fake"]
    devices.close()
    assert closed == ["fake"]
