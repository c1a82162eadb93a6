"""Devices that are not there, for demos and tests: sensors follow the clock, actuators keep what they are told.

A sensor's config may say `"wave": "cyclic"` (`cycle_s`, `min`, `max`) or `"linear"` (`slope_per_s`, `min`, `max`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from wayhouse.base import codec
from wayhouse.devices.command import ValueType
from wayhouse.devices.drivers.waves import cyclic, linear
from wayhouse.devices.model import DeviceGoneError, Found, Place, Value
from wayhouse.devices.register import DeviceRegister, standard_register

Number = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]

SHOWN: tuple[Found, ...] = (
    Found("boiler", "sensor.temperature", {"name": "boiler", "min": 40.0, "max": 70.0, "cycle_s": 1800.0}),
    Found("roof", "sensor.wind", {"name": "roof", "min": 0.0, "max": 20.0, "cycle_s": 600.0}),
    Found("lamp", "switch", {"name": "lamp"}),
    Found("hall", "dimmer", {"name": "hall"}),
    Found("tv", "media.tv", {"name": "tv"}),
    Found("rtc", "clock", {"name": "rtc"}),
)
"""A small house."""

_STEPS = {"up": 1, "down": -1}
_EMPTY: dict[ValueType, Value] = {
    ValueType.BOOL: False,
    ValueType.BYTE: 0,
    ValueType.INT: 0,
    ValueType.REAL: 0.0,
    ValueType.LIST: [],
    ValueType.DICT: {},
}


class Wave(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a sensor's config that shape its values."""

    wave: Literal["cyclic", "linear"] = "cyclic"
    minimum: Number = msgspec.field(default=0.0, name="min")
    maximum: Number = msgspec.field(default=100.0, name="max")
    cycle_s: Annotated[float, msgspec.Meta(gt=0.001, le=1e9)] = 3600.0
    slope_per_s: Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)] = 1.0

    def at(self, now: float) -> float:
        if self.wave == "linear":
            return linear(now, slope_per_s=self.slope_per_s, minimum=self.minimum, maximum=self.maximum)
        return cyclic(now, cycle_s=self.cycle_s, minimum=self.minimum, maximum=self.maximum)


class FakeDriver:
    """`unplug` and `plug` let a test take a device away and bring it back."""

    name = "fake"

    def __init__(self, devices: Sequence[Found] = SHOWN, register: DeviceRegister | None = None) -> None:
        self._devices = tuple(devices)
        self._register = register or standard_register()
        self._kept: dict[tuple[str, str], Value] = {}
        self._clock_offsets: dict[str, float] = {}
        self._unplugged: set[str] = set()

    def unplug(self, address: str) -> None:
        self._unplugged.add(address)

    def plug(self, address: str) -> None:
        self._unplugged.discard(address)

    async def scan(self) -> Sequence[Found]:
        return [one for one in self._devices if one.address not in self._unplugged]

    async def read(self, place: Place, command: str, now: float) -> Value:
        self._require_plugged(place)
        if place.oid.startswith("sensor."):
            return self._measure(place.config, command, now)
        if place.oid == "clock":
            return now + self._clock_offsets.get(place.address, 0.0)
        described = self._register.type_of(place.oid).new(place.config).command(command)
        return self._kept.get((place.address, command), _EMPTY.get(described.valuetype, ""))

    async def write(self, place: Place, command: str, value: Value, now: float) -> None:
        self._require_plugged(place)
        subdevice, _, name = command.rpartition(".")
        if place.oid == "clock":
            self._clock_offsets[place.address] = value - now
        elif name in _STEPS:
            self._step(place, subdevice, _STEPS[name])
        else:
            self._kept[place.address, command] = value

    def close(self) -> None:
        self._kept.clear()

    def _measure(self, config: dict[str, Any], command: str, now: float) -> float:
        if command == "direction":
            return cyclic(now, cycle_s=7200.0, minimum=0.0, maximum=360.0)
        return codec.convert(config, Wave, what="device").at(now)

    def _step(self, place: Place, subdevice: str, step: int) -> None:
        """A button of a sub-device moves the number beside it, within the bounds of its command."""
        kind = self._register.type_of(place.oid)
        number = next(one for one in kind.subtypes[subdevice].type_commands() if one.datasource is not None)
        key = (place.address, f"{subdevice}.{number.name}")
        wanted = self._kept.get(key, 0) + step
        self._kept[key] = int(min(max(wanted, number.minimum or 0), number.maximum or 0))

    def _require_plugged(self, place: Place) -> None:
        if place.address in self._unplugged:
            raise DeviceGoneError(f"The device {place.address!r} is unplugged.")
