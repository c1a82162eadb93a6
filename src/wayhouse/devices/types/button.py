"""A button that the gateway presses: a doorbell's chime, a restart, a scene of another system."""

from __future__ import annotations

from typing import ClassVar

from wayhouse.devices.command import Command, ValueType
from wayhouse.devices.device import BaseConfig, BaseDevice, Poll

PRESS = Command(name="press", info="press it", valuetype=ValueType.BOOL, writeonly=True, idempotent=False)


class ButtonConfig(BaseConfig, kw_only=True):
    poll: Poll = 0


class ButtonDevice(BaseDevice):
    oid: ClassVar[str] = "button"
    Config: ClassVar[type[BaseConfig]] = ButtonConfig
    own_commands: ClassVar[tuple[Command, ...]] = (PRESS,)
