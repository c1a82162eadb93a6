"""The drivers that the settings ask for, and no others. The gateway hands them to `Devices`.

A driver's file, and the libraries that it needs, are imported only if there is such a driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wayhouse.base.clock import Clock
from wayhouse.devices.drivers.settings import DeviceSettings
from wayhouse.devices.ports import Driver
from wayhouse.devices.register import DeviceRegister

ONEWIRE = Path("/sys/bus/w1/devices")


def drivers_of(
    settings: DeviceSettings,
    *,
    clock: Clock,
    pictures: Path,
    host: str = "localhost",
    register: DeviceRegister | None = None,
) -> list[Driver]:
    """`pictures` is the folder for what cameras take (made when needed), `host` the gateway's name among others on an
    MQTT broker. Raises `BadInputError` for a point that does not fit its device's type."""
    return list(_drivers(settings, clock, pictures, host, register))


def _drivers(
    settings: DeviceSettings, clock: Clock, pictures: Path, host: str, register: DeviceRegister | None
) -> Iterator[Driver]:
    if settings.fake:
        from wayhouse.devices.drivers.fake import FakeDriver

        yield FakeDriver(register=register)
    folder = ONEWIRE if settings.onewire is None else Path(settings.onewire)
    if settings.onewire or (settings.onewire is None and folder.is_dir()):
        from wayhouse.devices.drivers.onewire import OneWireDriver

        yield OneWireDriver(folder)
    if settings.mqtt.host and (settings.mqtt.topics or settings.mqtt.discover):
        from wayhouse.devices.drivers.mqtt import MqttDriver

        yield MqttDriver(settings.mqtt, clock, host=host, register=register)
    if settings.modbus.hosts:
        from wayhouse.devices.drivers.modbus import ModbusDriver

        yield ModbusDriver(settings.modbus, clock, register=register)
    if settings.gpio.pins:
        from wayhouse.devices.drivers.gpio import GpioDriver

        yield GpioDriver(settings.gpio)
    if settings.cameras:
        from wayhouse.devices.drivers.camera import CameraDriver

        yield CameraDriver(settings.cameras, clock, pictures)
