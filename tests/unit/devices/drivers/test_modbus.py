# covers: devices/drivers/modbus_line.py
"""Against pymodbus's own server, in a process of its own."""

import asyncio
import subprocess
import sys
import threading

import pytest

from tests.parts import modbus_server
from tests.parts.mosquitto import free_port
from wayhouse.base.clock import ManualClock
from wayhouse.base.errors import BadInputError
from wayhouse.devices.drivers.modbus import ModbusDriver
from wayhouse.devices.drivers.settings import ModbusHost, ModbusPoint, ModbusSettings
from wayhouse.devices.model import (
    BadValueError,
    CommandNotAllowedError,
    DeviceGoneError,
    DeviceNotReadyError,
    NoSuchCommandError,
    Place,
)
from wayhouse.devices.service import Devices


class House:
    """A server process; `reads` is what it was asked."""

    def __init__(self, port):
        self.port, self.reads = port, []
        command = [sys.executable, modbus_server.__file__, str(port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "ready\n"
        self._reader = threading.Thread(target=self._listen)
        self._reader.start()

    def _listen(self):
        for line in self._process.stdout:
            self.reads.append(tuple(int(part) for part in line.split()[1:]))

    def stop(self):
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait(10)
            self._reader.join()
            self._process.stdout.close()


@pytest.fixture(scope="module")
def server():
    found = House(free_port())
    yield found
    found.stop()


@pytest.fixture
async def make():
    made = []

    def driver(port, *points, **more):
        host = ModbusHost(host="127.0.0.1", port=port, points=points, timeout_s=1.0, **more)
        clock = ManualClock()
        found = ModbusDriver(ModbusSettings(hosts=(host,)), clock)
        found.clock = clock
        made.append(found)
        return found

    yield driver
    for one in made:
        one.close()


def point(name, address, **more):
    return ModbusPoint(name=name, address=address, **more)


async def read(driver, name, command="value"):
    return await driver.read(Place(name, ""), command, 0.0)


async def write(driver, name, value, command="value"):
    await driver.write(Place(name, ""), command, value, 0.0)


async def test_every_kind_of_register(server, make):
    driver = make(
        server.port,
        point("a", 0),
        point("b", 1, scale=0.1, offset=1.0),
        point("c", 20, type="f32", oid="sensor.temperature"),
        point("d", 30, type="f32", word_order="little"),
        point("e", 0, kind="input", type="i16"),
        point("f", 0, kind="coil"),
        point("g", 0, kind="discrete"),
        point("h", 2, oid="dimmer", scale=0.5),
    )
    values = [await read(driver, name) for name in "abcdefg"]
    assert values == [100.0, pytest.approx(11.1), 21.5, 21.5, -1.0, True, False]
    assert await read(driver, "h", "level") == 51
    found = {one.address: one for one in await driver.scan()}
    assert [found[name].oid for name in "acfh"] == [
        "sensor.number",
        "sensor.temperature",
        "sensor.binary",
        "dimmer",
    ]


async def test_neighbours_are_asked_for_once(server, make):
    driver = make(server.port, *(point(f"p{number}", number) for number in range(10)))
    before = len(server.reads)
    assert [await read(driver, f"p{number}") for number in range(10)] == list(range(100, 110))
    driver.clock.advance(1)
    await read(driver, "p3")
    await asyncio.to_thread(lambda: [None for _ in iter(lambda: len(server.reads) < before + 2, False)])
    assert server.reads[before:] == [(3, 0, 10)] * 2


async def test_writing(server, make):
    driver = make(
        server.port,
        point("a", 5, writable=True, scale=0.5),
        point("b", 20, type="f32", writable=True),
        point("c", 3, kind="coil", writable=True),
        point("d", 6),
    )
    await write(driver, "a", 7.0)
    assert await read(driver, "a") == 7.0
    await write(driver, "a", 52.5)
    await write(driver, "b", -3.25)
    assert await read(driver, "b") == -3.25
    await write(driver, "b", 21.5)
    for value in (True, False):
        await write(driver, "c", value, "power")
        assert await read(driver, "c", "power") is value
    with pytest.raises(CommandNotAllowedError, match="not writable"):
        await write(driver, "d", 1.0)
    with pytest.raises(BadValueError):
        await write(driver, "a", -1.0)


async def test_neighbours_that_can_be_read_alone_only(server, make):
    driver = make(server.port, point("a", 39), point("b", 40), point("c", 41))
    assert [await read(driver, name) for name in "abc"] == [1, 2, 3]
    driver.clock.advance(1)
    assert [await read(driver, name) for name in "abc"] == [1, 2, 3]


async def test_what_is_not_there(server, make):
    driver = make(server.port, point("a", 1000), point("b", 0))
    with pytest.raises(DeviceNotReadyError, match="no such address"):
        await read(driver, "a")
    assert await read(driver, "b") == 100
    with pytest.raises(NoSuchCommandError):
        await read(driver, "b", "power")
    with pytest.raises(DeviceGoneError):
        await read(driver, "nobody")


async def test_a_unit_that_does_not_answer(server, make):
    driver = make(server.port, point("a", 50), point("b", 0))
    with pytest.raises(DeviceGoneError, match="does not answer"):
        await read(driver, "a")
    assert await read(driver, "b") == 100


async def test_an_answer_that_is_given_up_is_not_taken_for_the_next(server, make):
    driver = make(server.port, point("a", 50), point("b", 0))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read(driver, "a"), 0.2)
    assert await read(driver, "b") == 100


async def test_a_host_that_is_down_is_left_alone_for_a_while(make):
    driver = make(free_port(), point("a", 0))
    assert [one.address for one in await driver.scan()] == ["a"], "it is in the settings, so it is shown"
    assert await driver.scan() == []
    with pytest.raises(DeviceGoneError, match="cannot be reached"):
        await read(driver, "a")
    tries = driver._units[0].line._next_try
    with pytest.raises(DeviceGoneError):
        await read(driver, "a")
    assert driver._units[0].line._next_try == tries


async def test_one_that_speaks_something_else(make):
    async def answer(reader, writer):
        await reader.read(100)
        writer.write(b"\x00" * 300)
        await writer.drain()

    rubbish = await asyncio.start_server(answer, "127.0.0.1", 0)
    driver = make(rubbish.sockets[0].getsockname()[1], point("a", 0))
    with pytest.raises(DeviceGoneError):
        await read(driver, "a")
    driver.close()
    rubbish.close()


async def test_under_a_server_gone_and_back(make, database, events):
    house = House(free_port())
    driver = make(house.port, point("a", 0))
    devices = Devices(database, events, driver.clock, [driver], hostname="here")
    server = devices._servers["modbus"]
    await server.round()
    assert devices.get("a").values["value"].value == 100.0
    house.stop()
    driver.clock.advance(61)
    await server.round()
    assert not devices.get("a").is_available
    house = House(house.port)
    driver.clock.advance(61)
    await server.round()
    assert devices.get("a").is_available
    house.stop()


@pytest.mark.parametrize(
    "points",
    [
        (point("a", 0, oid="nothing"),),
        (point("a", 0, oid="sensor.text"),),
        (point("a", 0, oid="sensor.wind"),),
        (point("a", 0), point("a", 1)),
        (point("a", 0, command="power"),),
    ],
)
def test_points_that_do_not_fit(points):
    host = ModbusHost(host="x", points=points)
    with pytest.raises(BadInputError, match="a"):
        ModbusDriver(ModbusSettings(hosts=(host,)), ManualClock())


def test_one_name_at_two_hosts():
    host = ModbusHost(host="x", points=(point("a", 0),))
    with pytest.raises(BadInputError, match="two hosts"):
        ModbusDriver(ModbusSettings(hosts=(host, host)), ManualClock())
