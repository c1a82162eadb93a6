"""The command of a device type that a point in the settings (a topic, a register) fills. Modbus and MQTT ask this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wayhouse.base.errors import BadInputError
from wayhouse.devices.command import Command
from wayhouse.devices.model import BadDeviceError, NoSuchCommandError
from wayhouse.devices.register import DeviceRegister


def command_of(
    register: DeviceRegister, oid: str, config: dict[str, Any], name: str, *, what: str
) -> Command:
    """`name`, or the first that is the device's own if it is empty. Raises `BadInputError` naming `what`."""
    try:
        device = register.new(config | {"oid": oid})
        live = (one for one in device.all_commands().values() if one.is_live)
        found = device.command(name) if name else next(live, None)
    except (BadDeviceError, NoSuchCommandError) as error:
        raise BadInputError(f"devices: {what}: {error.message}") from error
    if found is None or not found.is_live:
        raise BadInputError(f"devices: {what}: {name or oid} is nothing that a device answers.")
    return found


def require_complete(register: DeviceRegister, oid: str, given: Sequence[str], *, what: str) -> None:
    """A device with several values needs a point for each, since all of them are read. Raises `BadInputError`."""
    config = {"name": what}
    names = [command_of(register, oid, config, one, what=what).name for one in given]
    device = register.new(config | {"oid": oid})
    needed = [path for path, one in device.all_commands().items() if one.is_live and not one.writeonly]
    missing = [path for path in needed if path not in {*names, *given}]
    twice = {one for one in names if names.count(one) > 1}
    if missing or twice:
        wrong = f"needs a point for {', '.join(missing)} too" if missing else f"has {', '.join(twice)} twice"
        raise BadInputError(f"devices: {what}: a {oid} {wrong}.")
