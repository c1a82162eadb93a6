"""A switch: on or off."""

from __future__ import annotations

from typing import ClassVar

from wayhouse.devices.command import Command, DataSource, ValueType
from wayhouse.devices.device import BaseConfig, BaseDevice, Poll


class ActuatorConfig(BaseConfig, kw_only=True):
    """What others may have changed by hand is looked at every minute."""

    poll: Poll = 60


POWER = Command(name="power", info="whether it is on", valuetype=ValueType.BOOL, datasource=DataSource.GAUGE)


class SwitchDevice(BaseDevice):
    oid: ClassVar[str] = "switch"
    Config: ClassVar[type[BaseConfig]] = ActuatorConfig
    own_commands: ClassVar[tuple[Command, ...]] = (POWER,)
