"""The words of the devices: values, readings, health, events and errors. Everything here is plain data.

Two leaf errors are also the errors of RasPy's device classes (KeyError, AssertionError), so old callers catch them.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from wayhouse.base.errors import (
    BadInputError,
    ConflictError,
    MethodNotAllowedError,
    NotFoundError,
    OutsideError,
    TemporaryError,
    UnavailableError,
)

Value = Any
"""What a command reads or takes: a bool, number, text, list or dict, as JSON has them."""

ChangeKind = Literal[
    "added", "removed", "renamed", "moved", "configured", "reset", "available", "unavailable"
]

LogKind = Literal[
    "added", "renamed", "moved", "configured", "reset", "command", "failed", "available", "unavailable"
]


class LastValue(msgspec.Struct, frozen=True):
    """The newest value of one command. `time` is Unix seconds."""

    value: Value
    time: float
    unit: str = ""


class Found(msgspec.Struct, frozen=True):
    """A device that a driver sees now: its lasting address there, its type and the config to begin with."""

    address: str
    oid: str
    config: dict[str, Any] = {}


class Place(msgspec.Struct, frozen=True):
    """What a driver is told of the device it shall read or command."""

    address: str
    oid: str
    config: dict[str, Any] = {}


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """A device as callers see it. `id` never changes, `name` may. `values` maps a command ("value", or "volume.level"
    of a sub-device) to its newest value; `last_seen` is Unix seconds, None if it never answered; `reason` says why it
    is not available."""

    id: str
    name: str
    fullname: str
    oid: str
    driver: str
    address: str
    area: str = ""
    config: dict[str, Any] = {}
    commands: tuple[str, ...] = ()
    subdevices: tuple[str, ...] = ()
    values: dict[str, LastValue] = {}
    is_available: bool = False
    last_seen: float | None = None
    reason: str = ""


class DeviceChanged(msgspec.Struct, frozen=True):
    """Event: something about the device itself is different now. `device` is how it is after the change."""

    kind: ChangeKind
    device: DeviceView
    time: float


class LogEntry(msgspec.Struct, frozen=True):
    """A line of a device's log. `number` counts up from 1 for each device; `time` is Unix seconds, `who` "" if nobody
    asked for it."""

    number: int
    time: float
    kind: LogKind
    text: str
    who: str = ""


class DeviceNoted(msgspec.Struct, frozen=True):
    """Event: there is a new entry in the log of a device."""

    device_id: str
    name: str
    entry: LogEntry


class ReadingTaken(msgspec.Struct, frozen=True):
    """Event: a command of a device has this value at `time` (Unix seconds)."""

    device_id: str
    name: str
    fullname: str
    command: str
    value: Value
    unit: str
    time: float


class BadDeviceError(BadInputError):
    code = "bad-device"
    title = "This does not describe a device"


class DeviceFieldMissingError(BadDeviceError, KeyError):
    code = "device-field-missing"
    title = "A device needs an oid and a name"


class UnknownTypeError(BadDeviceError, AssertionError):
    code = "unknown-device-type"
    title = "There is no such type of device"


class TypeTakenError(ConflictError, AssertionError):
    code = "device-type-taken"
    title = "There is a type with this oid already"


class NoSuchDeviceError(NotFoundError):
    code = "no-such-device"
    title = "There is no such device"


class NoSuchCommandError(NotFoundError):
    code = "no-such-command"
    title = "The device has no such command"


class NoSuchDriverError(NotFoundError):
    code = "no-such-driver"
    title = "There is no such driver"


class NameTakenError(ConflictError):
    code = "device-name-taken"
    title = "Another device has this name"


class CommandNotAllowedError(MethodNotAllowedError):
    code = "command-not-allowed"
    title = "The command cannot be used this way"


class BadValueError(BadInputError):
    code = "bad-value"
    title = "The command does not take this value"


class TooManyDevicesError(ConflictError):
    code = "too-many-devices"
    title = "There is no room for another device"


class DeviceGoneError(UnavailableError):
    """The driver does not see the device any more."""

    code = "device-gone"
    title = "The device does not answer"


class DeviceNotReadyError(TemporaryError):
    """The device is there, but what it said is not to be used; the next read may be good."""

    code = "device-not-ready"
    title = "The device is not ready"


class DriverFailedError(OutsideError):
    code = "driver-failed"
    title = "The device's driver failed"
