import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.devices.drivers.fake import SHOWN, FakeDriver
from wayhouse.devices.drivers.waves import cyclic
from wayhouse.devices.model import DeviceGoneError, Place
from wayhouse.devices.register import standard_register


def place(address):
    found = next(one for one in SHOWN if one.address == address)
    return Place(address, found.oid, found.config | {"oid": found.oid})


async def test_the_house_is_made_of_devices_that_can_be():
    register = standard_register()
    for one in await FakeDriver().scan():
        assert register.check(one.config | {"oid": one.oid})


@pytest.mark.parametrize("now", [0.0, 450.0, 900.0, 1_700_000_000.0])
async def test_sensors_follow_the_clock_exactly(now):
    assert await FakeDriver().read(place("boiler"), "value", now) == cyclic(
        now, cycle_s=1800, minimum=40, maximum=70
    )


async def test_a_linear_sensor_and_a_bad_one():
    config = {"wave": "linear", "slope_per_s": 0.5, "min": 0, "max": 10}
    assert await FakeDriver().read(Place("x", "sensor.temperature", config), "value", 8.0) == 4.0
    with pytest.raises(BadInputError):
        await FakeDriver().read(Place("x", "sensor.temperature", {"cycle_s": 0}), "value", 8.0)


async def test_every_command_can_be_read_and_fits():
    driver, register = FakeDriver(), standard_register()
    for one in SHOWN:
        device = register.new(one.config | {"oid": one.oid})
        for path, command in device.all_commands().items():
            if command.is_live and not command.writeonly:
                command.check(await driver.read(place(one.address), path, 5.0))


async def test_actuators_keep_what_they_are_told():
    driver = FakeDriver()
    await driver.write(place("lamp"), "power", value=True, now=0.0)
    assert await driver.read(place("lamp"), "power", 0.0) is True
    assert await driver.read(place("tv"), "power", 0.0) is False


async def test_buttons_step_within_bounds():
    driver, tv = FakeDriver(), place("tv")
    await driver.write(tv, "volume.level", 99, 0.0)
    for _ in range(3):
        await driver.write(tv, "volume.up", value=True, now=0.0)
    await driver.write(tv, "channel.down", value=True, now=0.0)
    assert await driver.read(tv, "volume.level", 0.0) == 100
    assert await driver.read(tv, "channel.number", 0.0) == 0


async def test_a_clock_that_was_set_goes_on_from_there():
    driver = FakeDriver()
    await driver.write(place("rtc"), "time", 5000.0, 1000.0)
    assert await driver.read(place("rtc"), "time", 1010.0) == 5010.0


async def test_unplugged_and_plugged_again():
    driver = FakeDriver()
    driver.unplug("lamp")
    assert "lamp" not in {one.address for one in await driver.scan()}
    with pytest.raises(DeviceGoneError):
        await driver.read(place("lamp"), "power", 0.0)
    driver.plug("lamp")
    assert await driver.read(place("lamp"), "power", 0.0) is False
    driver.close()
