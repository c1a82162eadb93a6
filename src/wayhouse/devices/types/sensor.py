"""Sensors: what is measured is read with `value`."""

from __future__ import annotations

from typing import ClassVar

from wayhouse.devices.command import Command, DataSource, ValueType
from wayhouse.devices.device import BaseConfig, BaseDevice, Poll, Unit


class SensorConfig(BaseConfig, kw_only=True):
    """A sensor is polled once a minute and its history is kept, unless the config says otherwise."""

    poll: Poll = 60
    log: bool = True
    unit: Unit = ""


def measured(info: str, unit: str, **bounds: float) -> Command:
    return Command(
        name="value",
        info=info,
        valuetype=ValueType.REAL,
        unit=unit,
        readonly=True,
        datasource=DataSource.GAUGE,
        **bounds,  # type: ignore[arg-type]  # minimum and maximum alone
    )


class SensorDevice(BaseDevice):
    oid: ClassVar[str] = "sensor"
    Config: ClassVar[type[BaseConfig]] = SensorConfig
    own_commands: ClassVar[tuple[Command, ...]] = (measured("what is measured", ""),)


class SensorTemperature(SensorDevice):
    oid: ClassVar[str] = "sensor.temperature"
    own_commands: ClassVar[tuple[Command, ...]] = (measured("the temperature", "°C"),)


class SensorWind(SensorDevice):
    oid: ClassVar[str] = "sensor.wind"
    own_commands: ClassVar[tuple[Command, ...]] = (
        measured("the wind's speed", "m/s", minimum=0.0),
        Command(
            name="direction",
            info="where the wind comes from",
            valuetype=ValueType.REAL,
            unit="°",
            readonly=True,
            datasource=DataSource.GAUGE,
            minimum=0.0,
            maximum=360.0,
        ),
    )


class SensorNumber(SensorDevice):
    """Any number, for what has no type of its own."""

    oid: ClassVar[str] = "sensor.number"
    own_commands: ClassVar[tuple[Command, ...]] = ()


class SensorHumidity(SensorDevice):
    oid: ClassVar[str] = "sensor.humidity"
    own_commands: ClassVar[tuple[Command, ...]] = (
        measured("the relative humidity", "%", minimum=0.0, maximum=100.0),
    )


class SensorPower(SensorDevice):
    """Below zero where more is fed in than drawn."""

    oid: ClassVar[str] = "sensor.power"
    own_commands: ClassVar[tuple[Command, ...]] = (measured("the power that is drawn", "W"),)


class SensorEnergy(SensorDevice):
    oid: ClassVar[str] = "sensor.energy"
    own_commands: ClassVar[tuple[Command, ...]] = (measured("the meter's reading", "kWh"),)


class SensorPressure(SensorDevice):
    oid: ClassVar[str] = "sensor.pressure"
    own_commands: ClassVar[tuple[Command, ...]] = (measured("the pressure", "hPa", minimum=0.0),)


class SensorLight(SensorDevice):
    oid: ClassVar[str] = "sensor.light"
    own_commands: ClassVar[tuple[Command, ...]] = (measured("the illuminance", "lx", minimum=0.0),)


class SensorBinary(SensorDevice):
    """A contact, a motion, a leak. Its history is the share of the time in which it was on."""

    oid: ClassVar[str] = "sensor.binary"
    own_commands: ClassVar[tuple[Command, ...]] = (
        Command(
            name="value",
            info="whether it is on",
            valuetype=ValueType.BOOL,
            readonly=True,
            datasource=DataSource.GAUGE,
        ),
    )


class SensorText(SensorDevice):
    oid: ClassVar[str] = "sensor.text"
    own_commands: ClassVar[tuple[Command, ...]] = (
        Command(name="value", info="what it says", valuetype=ValueType.STR, readonly=True),
    )
