"""A number that can be set: a set point, a delay, a charging current. Its unit and bounds are in its config."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from wayhouse.devices.command import Command, DataSource, ValueType
from wayhouse.devices.device import BaseConfig, BaseDevice, Unit
from wayhouse.devices.types.switch import ActuatorConfig


class NumberConfig(ActuatorConfig, kw_only=True):
    unit: Unit = ""
    minimum: float | None = None
    maximum: float | None = None


class NumberDevice(BaseDevice):
    oid: ClassVar[str] = "number"
    Config: ClassVar[type[BaseConfig]] = NumberConfig
    own_commands: ClassVar[tuple[Command, ...]] = (
        Command(name="value", info="the number", valuetype=ValueType.REAL, datasource=DataSource.GAUGE),
    )

    def commands(self) -> dict[str, Command]:
        """With the bounds of the config."""
        found = super().commands()
        low, high = getattr(self.known, "minimum", None), getattr(self.known, "maximum", None)
        found["value"] = msgspec.structs.replace(found["value"], minimum=low, maximum=high)
        return found
