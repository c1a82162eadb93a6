"""The register of device types: which oids exist, and a device from its JSON. The roster asks it for every device."""

from __future__ import annotations

from typing import Any

from wayhouse.devices.device import BaseDevice, Json, decode
from wayhouse.devices.model import BadDeviceError, TypeTakenError, UnknownTypeError
from wayhouse.devices.types.button import ButtonDevice
from wayhouse.devices.types.clock import ClockDevice
from wayhouse.devices.types.dimmer import DimmerDevice
from wayhouse.devices.types.media import MediaCamera, MediaTV
from wayhouse.devices.types.number import NumberDevice
from wayhouse.devices.types.sensor import (
    SensorBinary,
    SensorEnergy,
    SensorHumidity,
    SensorLight,
    SensorNumber,
    SensorPower,
    SensorPressure,
    SensorTemperature,
    SensorText,
    SensorWind,
)
from wayhouse.devices.types.switch import SwitchDevice

STANDARD: tuple[type[BaseDevice], ...] = (
    ButtonDevice,
    ClockDevice,
    DimmerDevice,
    MediaCamera,
    MediaTV,
    NumberDevice,
    SensorBinary,
    SensorEnergy,
    SensorHumidity,
    SensorLight,
    SensorNumber,
    SensorPower,
    SensorPressure,
    SensorTemperature,
    SensorText,
    SensorWind,
    SwitchDevice,
)
"""`base`, `sensor` and `media` are there to be derived from."""


class DeviceRegister:
    """Types by their oid."""

    def __init__(self) -> None:
        self._types: dict[str, type[BaseDevice]] = {}

    def register(self, device_type: type[BaseDevice] | BaseDevice) -> None:
        """Add a type, given itself or as a prototype. Raises `TypeTakenError` (an AssertionError too)."""
        kind = device_type if isinstance(device_type, type) else type(device_type)
        if kind.oid in self._types:
            raise TypeTakenError(f"The type {kind.oid} is registered already. Give yours another oid.")
        self._types[kind.oid] = kind

    def new(self, json: Json) -> BaseDevice:
        """Raises `DeviceFieldMissingError`, `UnknownTypeError` and `BadDeviceError`."""
        config = decode(json)
        return self.type_of(config["oid"]).new(config)

    def check(self, json: Json) -> bool:
        """Whether `new` would take it."""
        try:
            self.new(json)
        except BadDeviceError:
            return False
        return True

    def type_of(self, oid: object) -> type[BaseDevice]:
        found = self._types.get(oid) if isinstance(oid, str) else None
        if found is None:
            raise UnknownTypeError(
                f"There is no type {str(oid)[:80]!r}. Choose one of {', '.join(self.oids())}.", path="oid"
            )
        return found

    def oids(self) -> list[str]:
        return sorted(self._types)

    def templates(self) -> dict[str, dict[str, Any]]:
        """The whole template of every type."""
        return {oid: self._types[oid].type_template() for oid in self.oids()}


def standard_register() -> DeviceRegister:
    """A register with the types that ship."""
    register = DeviceRegister()
    for kind in STANDARD:
        register.register(kind)
    return register
