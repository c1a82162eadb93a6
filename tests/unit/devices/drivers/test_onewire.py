import shutil
import threading

import pytest

from wayhouse.base.errors import UnavailableError
from wayhouse.devices.drivers.onewire import OneWireDriver
from wayhouse.devices.intake import Intake
from wayhouse.devices.log import DeviceLog
from wayhouse.devices.model import (
    CommandNotAllowedError,
    DeviceGoneError,
    DeviceNotReadyError,
    NoSuchCommandError,
    Place,
)
from wayhouse.devices.readings import Readings
from wayhouse.devices.register import standard_register
from wayhouse.devices.roster import Roster
from wayhouse.devices.server import Server
from wayhouse.devices.store import DeviceStore

ONE = "28-000005e2fdc3"
GOOD = "4b 01 4b 46 7f ff 05 10 e1"


def slave(milli=20687, verdict="YES", content=GOOD):
    return f"{content} : crc=e1 {verdict}\n{content} t={milli}\n"


@pytest.fixture
def bus(tmp_path):
    """As the kernel lays it out: links to directories, and the master among them."""
    real = tmp_path / "devices" / "w1_bus_master1"
    shown = tmp_path / "bus" / "w1" / "devices"
    shown.mkdir(parents=True)
    for name in (ONE, "10-0008019e5b3f", "29-000000000001"):
        (real / name).mkdir(parents=True)
        (shown / name).symlink_to(real / name)
    (shown / "w1_bus_master1").symlink_to(real)
    (shown / "28-00000000dead").write_text("a file")
    (real / ONE / "w1_slave").write_text(slave())
    return shown


@pytest.fixture
def driver(bus):
    found = OneWireDriver(bus, pause_s=0.0)
    yield found
    found.close()
    found._thread.shutdown(wait=True)


def place(address=ONE):
    return Place(address, "sensor.temperature")


async def read(driver, address=ONE):
    return await driver.read(place(address), "value", 0.0)


async def test_thermometers_alone_are_found(driver):
    found = await driver.scan()
    assert [one.address for one in found] == ["10-0008019e5b3f", ONE]
    assert all(standard_register().check(one.config | {"oid": one.oid}) for one in found)


async def test_a_bus_that_is_not_there(tmp_path):
    driver = OneWireDriver(tmp_path / "nothing")
    with pytest.raises(UnavailableError, match="w1-therm"):
        await driver.scan()
    driver.close()


async def test_degrees(driver):
    assert await read(driver) == 20.687


async def test_the_file_of_newer_kernels(driver, bus):
    (bus / ONE / "w1_slave").unlink()
    (bus / ONE / "temperature").write_text("-1250\n")
    assert await read(driver) == -1.25
    (bus / ONE / "temperature").write_text("0\n")
    assert await read(driver) == 0.0
    (bus / "10-0008019e5b3f" / "temperature").write_text("0\n")
    with pytest.raises(DeviceNotReadyError):
        await read(driver, "10-0008019e5b3f")


@pytest.mark.parametrize(
    "text",
    [
        slave(verdict="NO"),
        slave(content="00 00 00 00 00 00 00 00 00", milli=0),
        slave(85_000),
        "",
        "\0" * 9000,
    ],
)
async def test_what_is_not_believed(driver, bus, text):
    (bus / ONE / "w1_slave").write_text(text)
    with pytest.raises(DeviceNotReadyError):
        await read(driver)


async def test_eighty_five_degrees_are_believed_when_it_was_nearly_so(driver, bus):
    for milli in (80_000, 85_000):
        (bus / ONE / "w1_slave").write_text(slave(milli))
        assert await read(driver) == milli / 1000


class Flaky(OneWireDriver):
    """The first `bad` looks find a damaged answer."""

    bad = looks = 0

    def _read_once(self, directory, before):
        self.looks += 1
        if self.looks <= self.bad:
            raise DeviceNotReadyError("damaged")
        return super()._read_once(directory, before)


@pytest.mark.parametrize(("bad", "looks"), [(0, 1), (2, 3), (3, 3), (99, 3)])
async def test_it_tries_again_but_not_forever(bus, bad, looks):
    driver = Flaky(bus, pause_s=0.0)
    driver.bad = bad
    try:
        assert await read(driver) == 20.687
    except DeviceNotReadyError:
        assert bad >= 3
    assert driver.looks == looks
    driver.close()


async def test_vanished_and_back_without_believing_the_power_on_value(driver, bus):
    (bus / ONE / "w1_slave").write_text(slave(84_000))
    await read(driver)
    target = (bus / ONE).resolve()
    (bus / ONE).unlink()
    shutil.rmtree(target)
    with pytest.raises(DeviceGoneError):
        await read(driver)
    assert ONE not in {one.address for one in await driver.scan()}
    target.mkdir()
    (bus / ONE).symlink_to(target)
    (target / "w1_slave").write_text(slave(85_000))
    with pytest.raises(DeviceNotReadyError):
        await read(driver)
    (target / "w1_slave").write_text(slave(21_000))
    assert await read(driver) == 21.0


@pytest.mark.parametrize(
    "address", ["../../etc", "w1_bus_master1", "29-000000000001", "", "28-000005E2FDC3", "28-0/0"]
)
async def test_addresses_stay_on_the_bus(driver, address):
    with pytest.raises(DeviceGoneError):
        await read(driver, address)


async def test_reading_is_all_it_does(driver):
    with pytest.raises(CommandNotAllowedError):
        await driver.write(place(), "value", 1.0, 0.0)
    with pytest.raises(NoSuchCommandError):
        await driver.read(place(), "power", 0.0)


async def test_reads_are_made_in_its_own_thread(bus):
    seen = set()

    class Watched(OneWireDriver):
        def _read_once(self, directory, before):
            seen.add(threading.current_thread())
            return super()._read_once(directory, before)

    driver = Watched(bus)
    await read(driver)
    await read(driver)
    driver.close()
    assert len(seen) == 1
    assert threading.current_thread() not in seen


async def test_under_a_server(driver, bus, database, events, clock):
    roster = Roster(DeviceStore(database), standard_register())
    server = Server(driver, roster, Intake("here", Readings(database), DeviceLog(database), events), clock)
    await server.round()
    record = roster.find(ONE)[0]
    assert record.view("here").fullname == f"here.onewire.{ONE}"
    assert record.values["value"].value == 20.687
    (bus / ONE).unlink()
    clock.advance(60)
    await server.round()
    assert not record.health.is_available
