import asyncio
import threading

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from wayhouse.base.errors import UnavailableError
from wayhouse.devices.drivers.gpio import GpioDriver, find_factory
from wayhouse.devices.drivers.settings import GpioPin, GpioSettings
from wayhouse.devices.model import CommandNotAllowedError, DeviceGoneError, NoSuchCommandError, Place
from wayhouse.devices.service import Devices


def pin(name, number, kind, **more):
    return GpioPin(name=name, pin=str(number), kind=kind, **more)


PINS = (
    pin("relay", 17, "switch"),
    pin("pump", 18, "switch", active_low=True, initial=100),
    pin("strip", 12, "dimmer", initial=25),
    pin("door", 4, "input", pull="up", active_low=True, debounce_s=0),
    pin("bell", 5, "input", debounce_s=0),
)


@pytest.fixture
def factory():
    return MockFactory(pin_class=MockPWMPin)


@pytest.fixture
def driver(factory):
    found = GpioDriver(GpioSettings(pins=PINS), factory=factory)
    yield found
    found.close()


async def read(driver, name, command):
    return await driver.read(Place(name, ""), command, 0.0)


async def write(driver, name, command, value):
    await driver.write(Place(name, ""), command, value, 0.0)


async def test_outputs(driver, factory):
    found = {one.address: one.oid for one in await driver.scan()}
    assert found == {
        "relay": "switch",
        "pump": "switch",
        "strip": "dimmer",
        "door": "sensor.binary",
        "bell": "sensor.binary",
    }
    relay, pump, strip = (factory.pin(number) for number in (17, 18, 12))
    assert (relay.state, pump.state, strip.state) == (0, 0, 0.25)
    assert await read(driver, "pump", "power") is True
    await write(driver, "relay", "power", True)
    await write(driver, "pump", "power", False)
    await write(driver, "strip", "level", 70)
    assert (relay.state, pump.state, strip.state) == (1, 1, 0.7)
    assert await read(driver, "relay", "power") is True
    assert await read(driver, "pump", "power") is False
    assert await read(driver, "strip", "level") == 70


async def test_inputs_are_read_and_tell_their_changes(driver, factory):
    class Listener:
        said = asyncio.Queue()

        def told(self, *fact):
            self.said.put_nowait(fact)

    driver.listen(Listener())
    await driver.scan()
    assert await read(driver, "door", "value") is False
    factory.pin(4).drive_low()
    assert await asyncio.wait_for(Listener.said.get(), 10) == ("door", "value", True)
    assert await read(driver, "door", "value") is True
    factory.pin(5).drive_high()
    assert await asyncio.wait_for(Listener.said.get(), 10) == ("bell", "value", True)
    factory.pin(4).drive_high()
    assert await asyncio.wait_for(Listener.said.get(), 10) == ("door", "value", False)


async def test_what_is_refused(driver):
    with pytest.raises(DeviceGoneError, match="not been taken"):
        await read(driver, "relay", "power")
    await driver.scan()
    with pytest.raises(CommandNotAllowedError):
        await write(driver, "door", "value", True)
    with pytest.raises(NoSuchCommandError):
        await read(driver, "door", "power")
    with pytest.raises(DeviceGoneError):
        await read(driver, "nobody", "power")


async def test_a_pin_that_cannot_be_used_does_not_keep_out_the_others(factory):
    pins = (pin("good", 17, "switch"), pin("bad", 99, "switch"), pin("odd", "NOPIN", "input"))
    driver = GpioDriver(GpioSettings(pins=pins), factory=factory)
    assert [one.address for one in await driver.scan()] == ["good"]
    with pytest.raises(DeviceGoneError, match="99 cannot be used"):
        await read(driver, "bad", "power")
    driver.close()


async def test_all_calls_are_made_in_one_thread_and_close_frees_the_pins(factory):
    driver = GpioDriver(GpioSettings(pins=PINS), factory=factory)
    await driver.scan()
    driver.close()
    driver.close()
    assert factory.pin(17).function == "input"
    assert not [one for one in threading.enumerate() if one.name.startswith("gpio")]


async def test_a_machine_without_pins_says_what_to_do():
    with pytest.raises(UnavailableError, match="install lgpio"):
        find_factory("lgpio")
    assert find_factory("mock").pin(4).state == 0
    driver = GpioDriver(GpioSettings(pins=PINS, factory="rpigpio"))
    with pytest.raises(UnavailableError, match="rpigpio"):
        await driver.scan()
    driver.close()


async def test_under_a_server(driver, factory, database, events, clock):
    devices = Devices(database, events, clock, [driver], hostname="here")
    server = devices._servers["gpio"]
    await server.round()
    assert all(one.is_available for one in devices.all())
    factory.pin(4).drive_low()
    await asyncio.sleep(0)
    await server.hear(await server._told.next())
    assert devices.last("door", "value").value is True
    await devices.command("strip", "level", 5)
    assert factory.pin(12).state == 0.05
