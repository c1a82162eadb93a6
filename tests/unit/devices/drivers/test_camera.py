import asyncio
import errno
import os

import pytest

from wayhouse.base.errors import UnavailableError
from wayhouse.devices.drivers import camera as module
from wayhouse.devices.drivers.camera import CameraDriver
from wayhouse.devices.drivers.settings import CameraSettings
from wayhouse.devices.model import (
    CommandNotAllowedError,
    DeviceGoneError,
    DeviceNotReadyError,
    NoSuchCommandError,
    Place,
)
from wayhouse.devices.service import Devices

JPEG = b"\xff\xd8\xff\xe0 picture "
DOOR = Place("door", "media.camera")


@pytest.fixture
async def server():
    """A camera that numbers its pictures."""
    taken = []

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        taken.append(None)
        body = JPEG + str(len(taken)).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/now.jpg"
    listening.close()


@pytest.fixture
def driver(server, clock, tmp_path):
    settings = (
        CameraSettings(name="door", url=server, keep=2),
        CameraSettings(name="yard", url="http://127.0.0.1:1/", poll=60),
    )
    return CameraDriver(settings, clock, tmp_path / "pictures")


async def test_to_read_is_to_look_and_to_take_is_to_look_now(driver, clock):
    with pytest.raises(DeviceNotReadyError):
        await driver.picture("door")
    first = await driver.read(DOOR, "picture", 1000.0)
    assert first == {"time": 1000.0, "size": len(JPEG) + 1, "media": "image/jpeg"}
    assert await driver.read(DOOR, "picture", 1001.0) == first
    await driver.write(DOOR, "take", True, 1002.0)
    assert (await driver.read(DOOR, "picture", 1003.0))["time"] == 1002.0
    assert await driver.picture("door") == (JPEG + b"2", "image/jpeg")
    clock.advance(module.FRESH_S + 1)
    assert (await driver.read(DOOR, "picture", 1010.0))["time"] == 1010.0


async def test_what_is_refused(driver):
    assert await driver.read(DOOR, "power", 0.0) is True
    for command, error in (("power", CommandNotAllowedError), ("url", NoSuchCommandError)):
        with pytest.raises(error):
            await driver.write(DOOR, command, True, 0.0)
    with pytest.raises(NoSuchCommandError):
        await driver.read(DOOR, "take", 0.0)
    for other in ("nobody", "../door", ""):
        with pytest.raises(DeviceGoneError):
            await driver.picture(other)


async def test_under_a_server(driver, database, events, clock):
    devices = Devices(database, events, clock, [driver], hostname="here")
    await devices._servers["camera"].round()
    assert devices.get("door").is_available
    assert devices.last("door", "picture").value["media"] == "image/jpeg"
    assert "cannot be reached" in devices.get("yard").reason
    await devices.command("door", "take", True)
    driver.close()


async def test_a_full_disk_is_the_reason_and_gets_better(
    driver, database, events, clock, monkeypatch, tmp_path
):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    devices = Devices(database, events, clock, [driver], hostname="here")
    await devices._servers["camera"].round()
    old = await driver.picture("door")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UnavailableError, match="Free some space"):
            await driver.write(DOOR, "take", True, 1002.0)
    assert await driver.picture("door") == old
    assert not list(tmp_path.rglob("*.partial"))
    await driver.write(DOOR, "take", True, 1003.0)
    assert await driver.picture("door") != old
