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
