import pytest

from wayhouse.devices import roster as module
from wayhouse.devices.model import NameTakenError, NoSuchDeviceError, TooManyDevicesError, UnknownTypeError
from wayhouse.devices.register import standard_register
from wayhouse.devices.roster import Roster
from wayhouse.devices.store import DeviceStore


def opened(database):
    return Roster(DeviceStore(database), standard_register())


@pytest.fixture
def roster(database):
    return opened(database)


def lamp(name="lamp", **more):
    return {"oid": "switch", "name": name} | more


async def test_found_by_id_name_place_and_after_a_restart(roster, database):
    record = await roster.add("fake", "here", lamp())
    again = opened(database)
    for one in (roster, again):
        assert one.find(record.id)[0].device.name == one.find("lamp")[0].device.name == "lamp"
        assert one.at("fake", "here").id == record.id
        assert one.at("onewire", "here") is None


async def test_a_new_name_keeps_the_id_and_the_old_name(roster, database):
    record = await roster.add("fake", "here", lamp())
    await roster.configure(record, lamp("light"))
    await roster.configure(record, lamp("moon"))
    for one in (roster, opened(database)):
        assert {one.find(name)[0].id for name in ("lamp", "light", "moon", record.id)} == {record.id}


async def test_a_former_name_belongs_to_whoever_takes_it(roster, database):
    first = await roster.add("fake", "1", lamp())
    await roster.configure(first, lamp("light"))
    second = await roster.add("fake", "2", lamp("other"))
    await roster.configure(second, lamp("lamp"))
    assert roster.find("lamp")[0] is second
    assert first.former_names == ()
    await roster.configure(first, lamp("first"))
    await roster.configure(first, lamp("light"))
    assert first.former_names == ("first",)


async def test_a_new_device_takes_a_former_name_for_good(roster, database):
    first = await roster.add("fake", "1", lamp())
    await roster.configure(first, lamp("light"))
    second = await roster.add("fake", "2", lamp("lamp"))
    await roster.remove(second)
    for one in (roster, opened(database)):
        with pytest.raises(NoSuchDeviceError):
            one.find("lamp")


async def test_names_and_places_are_unique(roster):
    record = await roster.add("fake", "1", lamp())
    for driver, address, name in (("fake", "2", "lamp"), ("fake", "1", "x"), ("fake", "3", record.id)):
        with pytest.raises(NameTakenError):
            await roster.add(driver, address, lamp(name))
    other = await roster.add("fake", "2", lamp("other"))
    with pytest.raises(NameTakenError):
        await roster.configure(other, lamp())
    assert other.device.name == "other"
    with pytest.raises(UnknownTypeError):
        await roster.configure(other, {"oid": "dimmer", "name": "other"})


async def test_subdevices_have_names_of_their_own(roster):
    tv = await roster.add("fake", "1", {"oid": "media.tv", "name": "tv"})
    assert roster.find("tv-volume") == (tv, "volume")
    assert roster.find(f"{tv.id}-channel") == (tv, "channel")
    with pytest.raises(NoSuchDeviceError):
        roster.find("tv-nothing")
    with pytest.raises(NameTakenError):
        await roster.add("fake", "2", lamp("tv-volume"))
    await roster.add("fake", "2", lamp("set-volume"))
    with pytest.raises(NameTakenError):
        await roster.add("fake", "3", {"oid": "media.tv", "name": "set"})


async def test_names_with_hyphens(roster):
    record = await roster.add("onewire", "28-000005e2fdc3", lamp("28-000005e2fdc3"))
    assert roster.find("28-000005e2fdc3") == (record, "")


async def test_free_names(roster):
    await roster.add("fake", "1", lamp())
    assert roster.free_name("other") == "other"
    assert roster.free_name("lamp") == "lamp 2"


async def test_a_thousand_of_one_name(roster, database):
    for number in range(module.MAX_DEVICES - 1):
        await roster.add("fake", str(number), lamp(roster.free_name("lamp")))
    with pytest.raises(NameTakenError):
        roster.free_name("lamp")
    for one in (roster, opened(database)):
        assert one.find("lamp 999")[0] is one.at("fake", "998")
        assert len(one.all()) == module.MAX_DEVICES - 1
    await roster.remove(roster.find("lamp 7")[0])
    assert roster.free_name("lamp") == "lamp 7"


async def test_a_name_that_could_not_be_written_stays_free(roster, database):
    record = await roster.add("fake", "1", lamp())
    database.close()
    with pytest.raises(Exception, match="stopping"):
        await roster.configure(record, lamp("light"))
    assert roster.find("lamp")[0] is record
    assert roster.free_name("light") == "light"
    with pytest.raises(NoSuchDeviceError):
        roster.find("light")


async def test_what_was_removed_does_not_come_back(roster, database):
    record = await roster.add("fake", "1", lamp())
    await roster.remove(record)
    await roster.remember(record)
    for work in (roster.configure(record, lamp("x")), roster.remove(record)):
        with pytest.raises(NoSuchDeviceError):
            await work
    assert roster.all() == opened(database).all() == []
    with pytest.raises(NoSuchDeviceError):
        roster.find("lamp")


async def test_there_is_a_bound(roster, monkeypatch):
    monkeypatch.setattr(module, "MAX_DEVICES", 1)
    await roster.add("fake", "1", lamp())
    with pytest.raises(TooManyDevicesError):
        await roster.add("fake", "2", lamp("b"))


async def test_a_disk_that_is_full_changes_nothing(roster, database):
    record = await roster.add("fake", "1", lamp())
    database.close()
    for work in (
        roster.add("fake", "2", lamp("b")),
        roster.configure(record, lamp("c")),
        roster.remove(record),
    ):
        with pytest.raises(Exception, match="stopping"):
            await work
    assert [one.device.name for one in roster.all()] == ["lamp"]
