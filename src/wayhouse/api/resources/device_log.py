"""The stream of a device's log: its last entries, then each that comes, until the device is removed.

Used by the resource of devices. Rule: the cursor is the number of the last entry that one has had, so whoever comes back misses nothing
that the log still has.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from wayhouse.api.table import Frame, Frames
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.base.events import Events, Subscription
from wayhouse.devices.model import DeviceChanged, DeviceNoted, LogEntry, NoSuchDeviceError

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.devices.service import Devices

MOST_LOG = 500
MOST_DIGITS = 18
Fact = DeviceNoted | DeviceChanged


class LogStream:
    """Of the device with this id."""

    def __init__(self, devices: Devices, device_id: str) -> None:
        self._devices = devices
        self._id = device_id

    def begin(self, tail: int, resume: str | None) -> int:
        """The number of the entry before the first that is sent. A crash may have lost those that `resume` knows."""
        newest = max((one.number for one in self._entries(1)), default=0)
        return newest - tail if resume is None else min(_cursor(resume), newest)

    async def frames(self, events: Events, last: int) -> Frames:
        """What follows the entry `last`."""
        facts: Subscription[Fact] = events.subscribe(DeviceNoted, DeviceChanged)
        lost = -1
        with facts, contextlib.suppress(NoSuchDeviceError):
            yield Frame(None, str(max(0, last)))
            while True:
                is_gap, lost = facts.lost != lost, facts.lost
                fresh = self._entries(MOST_LOG)[::-1] if is_gap else await self._next(facts)
                for entry in fresh:
                    if entry.number > last:
                        last = entry.number
                        yield Frame(codec.encode_json(entry).decode(), str(last))

    async def _next(self, facts: Subscription[Fact]) -> list[LogEntry]:
        """Raises `NoSuchDeviceError` when it is removed."""
        fact = await anext(facts)
        if isinstance(fact, DeviceNoted):
            return [fact.entry] if fact.device_id == self._id else []
        if fact.kind == "removed" and fact.device.id == self._id:
            raise NoSuchDeviceError(f"{fact.device.name} is removed.")
        return []

    def _entries(self, limit: int) -> list[LogEntry]:
        return self._devices.log(self._id, limit=limit)


def _cursor(text: str) -> int:
    """Raises `BadInputError`."""
    if not text.isascii() or not text.isdigit() or len(text) > MOST_DIGITS:
        raise BadInputError(
            "The cursor of a device's log is the number of the last entry you have had. Leave it out to begin with the last few.",
            path="resume",
        )
    return int(text)
