"""Devices: those that exist, what they are told, what happened to them; and the types and drivers there are.

A config may hold passwords: only who may change devices sees it. `?fresh=1` asks the device, else the newest known value
is the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from wayhouse.access.model import Identity
from wayhouse.access.policy import Right, demand, permits
from wayhouse.api import wire_devices as wire
from wayhouse.api.resources.device_log import MOST_LOG, LogStream
from wayhouse.api.table import Call, Channel, Frames, Incoming, Reply, Rows, endpoint
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, NotFoundError
from wayhouse.base.events import Events, Subscription
from wayhouse.devices.model import (
    DeviceChanged,
    DeviceNoted,
    DeviceView,
    LogEntry,
    NoSuchDeviceError,
    ReadingTaken,
)

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.devices.service import Devices

DEVICES = "/api/v1/devices"
DEVICE = DEVICES + "/{device}"
COMMAND = DEVICE + "/commands/{command}"
_GATEWAYS_OWN = {"config", "poll", "log"}
"""Commands that read or change the config, whoever asks for them by whichever way."""

Pictures = Callable[[str], Awaitable[tuple[bytes, str] | None]]
"""By a device's id: the newest picture and its media type; None if the device takes none."""
Fact = ReadingTaken | DeviceChanged | DeviceNoted


class DeviceResource:
    def __init__(self, devices: Devices, events: Events, pictures: Pictures | None = None) -> None:
        self._devices = devices
        self._events = events
        self._pictures = pictures

    async def index(self, call: Call) -> list[DeviceView]:
        return self._listed(call)

    async def create(self, call: Call) -> DeviceView:
        order = call.body(wire.NewDevice)
        return await self._devices.new(
            order.config, driver=order.driver, address=order.address, who=call.who.name
        )

    async def get(self, call: Call) -> DeviceView:
        return seen_by(call.who, self._devices.get(call.path["device"]))

    async def configure(self, call: Call) -> DeviceView:
        return await self._devices.configure(call.path["device"], call.body(dict), who=call.who.name)

    async def patch(self, call: Call) -> DeviceView:
        """A name that is taken refuses both."""
        patch, device = call.body(wire.DevicePatch), self._devices.get(call.path["device"])
        if patch.name is not None and patch.name != device.name:
            device = await self._devices.rename(device.id, patch.name, who=call.who.name)
        if patch.area is not None and patch.area != device.area:
            device = await self._devices.move(device.id, patch.area, who=call.who.name)
        return device

    async def delete(self, call: Call) -> DeviceView:
        """What was removed."""
        device = self._devices.get(call.path["device"])
        await self._devices.delete(device.id, who=call.who.name)
        return device

    async def read(self, call: Call) -> wire.CommandView:
        device, command = call.path["device"], call.path["command"]
        if command == "config":
            demand(Right.CHANGE_DEVICES, call.who)
        is_fresh = call.query_number("fresh", 0)
        if is_fresh:
            demand(Right.COMMAND_DEVICES, call.who)
        last = self._devices.last(device, command)
        if last is None or is_fresh:
            value = await self._devices.command(device, command)
            last = self._devices.last(device, command)
            if last is None:  # the gateway's own answer
                return wire.CommandView(value, self._devices.now())
        return wire.CommandView(last.value, last.time, last.unit)

    async def tell(self, call: Call) -> wire.CommandView:
        device, command = call.path["device"], call.path["command"]
        if command in _GATEWAYS_OWN:
            demand(Right.CHANGE_DEVICES, call.who)
        value = call.body(wire.Told).value
        if value is None:
            raise BadInputError("`value` must not be null.", path="value")
        value = await self._devices.command(device, command, value, who=call.who.name)
        unit = self._devices.commands(device)[command].unit
        return wire.CommandView(value, self._devices.now(), unit)

    async def log(self, call: Call) -> list[LogEntry]:
        limit = call.query_number("limit", 100, most=MOST_LOG) or 0
        return self._devices.log(call.path["device"], limit=limit, before=call.query_number("before"))

    async def follow_log(self, call: Call, incoming: Incoming) -> Frames:
        """Coming back, `tail` does not count."""
        stream = LogStream(self._devices, self._devices.get(call.path["device"]).id)
        tail = call.query_number("tail", 50, most=MOST_LOG) or 0
        return stream.frames(self._events, stream.begin(tail, incoming.resume))

    async def picture(self, call: Call) -> Reply:
        device = self._devices.get(call.path["device"])
        found = await self._pictures(device.id) if self._pictures is not None else None
        if found is None:
            raise NotFoundError(f"{device.name} has no picture.")
        body, media = found
        return Reply(body, media=media if media.startswith("image/") else "application/octet-stream")

    async def types(self, call: Call) -> dict[str, Any]:
        return self._devices.templates()

    async def drivers(self, call: Call) -> list[wire.DriverView]:
        return [
            wire.DriverView(name, self._devices.is_well(name), self._devices.counts(name))
            for name in self._devices.drivers()
        ]

    async def areas(self, call: Call) -> list[wire.AreaView]:
        return [wire.AreaView(name, len(self._devices.all(area=name))) for name in self._devices.areas()]

    async def follow(self, call: Call, _incoming: Incoming) -> Frames:
        self._listed(call)
        return self._frames(call)

    async def _frames(self, call: Call) -> Frames:
        kinds = (ReadingTaken, DeviceChanged, DeviceNoted)
        facts: Subscription[Fact] = self._events.subscribe(*kinds)
        lost = -1
        with facts:
            while True:
                if facts.lost != lost:
                    lost = facts.lost
                    yield _text(wire.DevicesFrame(self._listed(call)))
                fact = await anext(facts)
                if self._is_wanted(call, fact):
                    yield _text(_frame(fact, call.who))

    def _listed(self, call: Call) -> list[DeviceView]:
        area, driver = call.query.get("area"), call.query.get("driver")
        return [seen_by(call.who, one) for one in self._devices.all(area=area, driver=driver)]

    def _is_wanted(self, call: Call, fact: Fact) -> bool:
        """Whether it is of the driver and the area that were asked for; what leaves the area is told as well."""
        area, driver = call.query.get("area"), call.query.get("driver")
        if area is None and driver is None:
            return True
        if isinstance(fact, DeviceChanged):
            return driver in {None, fact.device.driver}
        try:
            device = self._devices.get(fact.device_id)
        except NoSuchDeviceError:
            return False
        return driver in {None, device.driver} and area in {None, device.area}


def seen_by(identity: Identity, device: DeviceView) -> DeviceView:
    """Without the config for who may not change it: it may hold passwords."""
    return device if permits(Right.CHANGE_DEVICES, identity) else msgspec.structs.replace(device, config={})


def _frame(fact: Fact, identity: Identity) -> wire.DeviceFrame:
    if isinstance(fact, ReadingTaken):
        return wire.ReadingFrame(fact.device_id, fact.name, fact.command, fact.value, fact.unit, fact.time)
    if isinstance(fact, DeviceChanged):
        return wire.ChangedFrame(fact.kind, seen_by(identity, fact.device), fact.time)
    return wire.NotedFrame(fact.device_id, fact.name, fact.entry)


def _text(frame: wire.DeviceFrame) -> str:
    return codec.encode_json(frame).decode()


_R = DeviceResource
_SEE, _CHANGE = Right.SEE_DEVICES, Right.CHANGE_DEVICES
_PARTS = {"area": "Only those of this area", "driver": "Only those of this driver"}
LIST = endpoint("GET", DEVICES, _SEE, "Devices by name", _R.index, reply=list[DeviceView], query=_PARTS)
CREATE = endpoint(
    "POST", DEVICES, _CHANGE, "Add a device by hand", _R.create, body=wire.NewDevice, reply=DeviceView, status=201
)  # fmt: skip
GET = endpoint("GET", DEVICE, _SEE, "One device, by id or name", _R.get, reply=DeviceView)
CONFIGURE = endpoint(
    "PUT", DEVICE, _CHANGE, "Replace its config", _R.configure, body=dict[str, Any], reply=DeviceView
)
PATCH = endpoint(
    "PATCH", DEVICE, _CHANGE, "Name it, or place it in an area", _R.patch, body=wire.DevicePatch, reply=DeviceView
)  # fmt: skip
DELETE = endpoint("DELETE", DEVICE, _CHANGE, "Remove it with its history", _R.delete, reply=DeviceView)
READ = endpoint(
    "GET", COMMAND, _SEE, "One of its values", _R.read, reply=wire.CommandView,
    query={"fresh": "1: ask the device, and do not answer with what is known"},
)  # fmt: skip
TELL = endpoint(
    "PUT", COMMAND, Right.COMMAND_DEVICES, "Tell it what to do", _R.tell, body=wire.Told, reply=wire.CommandView
)  # fmt: skip
LOG = endpoint(
    "GET", DEVICE + "/log", _SEE, "What happened to it, newest first", _R.log, reply=list[LogEntry],
    query={"limit": "How many, 100 if not given", "before": "Continue below the number of an entry"},
)  # fmt: skip
PICTURE = endpoint(
    "GET", DEVICE + "/picture", _SEE, "The newest picture of a camera", _R.picture, reply=bytes, reply_media="image/*"
)  # fmt: skip
TYPES = endpoint(
    "GET", "/api/v1/device-types", _SEE, "The types: their configs as JSON Schema, and their commands", _R.types,
    reply=dict[str, Any],
)  # fmt: skip
DRIVERS = endpoint(
    "GET", "/api/v1/device-drivers", _SEE, "The drivers and how they do", _R.drivers, reply=list[wire.DriverView]
)  # fmt: skip
AREAS = endpoint("GET", "/api/v1/areas", _SEE, "The areas", _R.areas, reply=list[wire.AreaView])
FOLLOW = Channel(
    path="/ws/devices", right=_SEE, summary="All devices, then their values and changes as they come",
    opener=_R.follow, frame=wire.DeviceFrame,
)  # fmt: skip
FOLLOW_LOG = Channel(
    path="/ws/devices/{device}/log", right=_SEE, summary="Its log: the last `?tail=50` entries, then those that come",
    opener=_R.follow_log, frame=LogEntry, resumes=True,
)  # fmt: skip

ROWS: Rows = (
    LIST,
    CREATE,
    GET,
    CONFIGURE,
    PATCH,
    DELETE,
    READ,
    TELL,
    LOG,
    PICTURE,
    TYPES,
    DRIVERS,
    AREAS,
    FOLLOW,
    FOLLOW_LOG,
)
