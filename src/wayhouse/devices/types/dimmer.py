"""A dimmer: a level in per cent; 0 is off."""

from __future__ import annotations

from typing import ClassVar

from wayhouse.devices.command import Command, DataSource, ValueType
from wayhouse.devices.device import BaseConfig, BaseDevice
from wayhouse.devices.types.switch import ActuatorConfig

LEVEL = Command(
    name="level",
    info="how far it is turned up",
    valuetype=ValueType.BYTE,
    unit="%",
    datasource=DataSource.GAUGE,
    maximum=100,
)


class DimmerDevice(BaseDevice):
    oid: ClassVar[str] = "dimmer"
    Config: ClassVar[type[BaseConfig]] = ActuatorConfig
    own_commands: ClassVar[tuple[Command, ...]] = (LEVEL,)
