"""What the devices' resources send and take, as types. `DeviceView`, `LogEntry` and `Bucket` are the room's own words."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from wayhouse.devices.buckets import Bucket
from wayhouse.devices.model import ChangeKind, DeviceView, LogEntry


class NewDevice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`config` holds `oid` (the type), `name` and what the type takes; `address` is where the driver finds the device, its
    name if none is given."""

    driver: str
    config: dict[str, Any]
    address: str = ""


class DevicePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is not given stays. An empty `area` is none."""

    name: str | None = None
    area: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a command is told: any JSON but null."""

    value: Any


class CommandView(msgspec.Struct, frozen=True):
    """A value. `time` is when it was read, in Unix seconds."""

    value: Any
    time: float
    unit: str = ""


class DriverView(msgspec.Struct, frozen=True):
    """`is_well`: it could look for devices the last time. `counts`: readings, polls, scans, commands, failures, devices."""

    name: str
    is_well: bool
    counts: dict[str, int]


class AreaView(msgspec.Struct, frozen=True):
    name: str
    devices: int


class ReadingsView(msgspec.Struct, frozen=True):
    """`step_s` is the length of each bucket, None if there are none."""

    device: str
    name: str
    command: str
    unit: str
    start: float
    end: float
    step_s: int | None
    buckets: tuple[Bucket, ...]


class GraphLineView(msgspec.Struct, frozen=True):
    key: str
    name: str
    command: str
    unit: str
    buckets: tuple[Bucket, ...]


class GraphView(msgspec.Struct, frozen=True):
    start: float
    end: float
    lines: tuple[GraphLineView, ...]


class DevicesFrame(msgspec.Struct, frozen=True, tag_field="event", tag="devices"):
    """The first frame, and again after some were lost: all devices as they are."""

    devices: list[DeviceView]


class ReadingFrame(msgspec.Struct, frozen=True, tag_field="event", tag="reading"):
    device: str
    name: str
    command: str
    value: Any
    unit: str
    time: float


class ChangedFrame(msgspec.Struct, frozen=True, tag_field="event", tag="changed"):
    kind: ChangeKind
    device: DeviceView
    time: float


class NotedFrame(msgspec.Struct, frozen=True, tag_field="event", tag="noted"):
    """A new entry of a device's log."""

    device: str
    name: str
    entry: LogEntry


DeviceFrame = DevicesFrame | ReadingFrame | ChangedFrame | NotedFrame
