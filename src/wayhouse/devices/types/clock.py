"""A clock of its own (an RTC chip): its time as Unix seconds, to be read and set."""

from __future__ import annotations

from typing import ClassVar

from wayhouse.devices.command import Command, ValueType
from wayhouse.devices.device import BaseConfig, BaseDevice, Poll


class ClockConfig(BaseConfig, kw_only=True):
    poll: Poll = 0


class ClockDevice(BaseDevice):
    oid: ClassVar[str] = "clock"
    Config: ClassVar[type[BaseConfig]] = ClockConfig
    own_commands: ClassVar[tuple[Command, ...]] = (
        Command(
            name="time",
            info="what the clock shows, in Unix seconds",
            valuetype=ValueType.REAL,
            unit="s",
            minimum=0,
        ),
    )
