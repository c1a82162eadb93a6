from wayhouse.devices.record import Record
from wayhouse.devices.register import DeviceRegister, standard_register
from wayhouse.devices.store import DeviceStore
from wayhouse.devices.types.switch import SwitchDevice


def lamp():
    record = Record(
        "id1", "fake", "place", SwitchDevice({"oid": "switch", "name": "lamp", "free": 1}), ("old",)
    )
    record.health.last_seen = 12.5
    return record


async def test_what_was_saved_is_loaded(database):
    store = DeviceStore(database)
    await store.save(lamp())
    (found,) = store.load(standard_register())
    assert (found.id, found.driver, found.address, found.former_names) == ("id1", "fake", "place", ("old",))
    assert (found.device.config, found.health.last_seen) == (lamp().device.config, 12.5)
    assert not found.health.is_available
    await store.delete("id1")
    assert list(store.load(standard_register())) == []


async def test_a_device_of_an_unknown_type_is_left_alone(database, caplog):
    store = DeviceStore(database)
    await store.save(lamp())
    assert list(store.load(DeviceRegister())) == []
    assert "id1" in caplog.text
    assert len(list(store.load(standard_register()))) == 1
