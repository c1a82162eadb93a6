"""What scenarios look at: the devices' values, jobs that run, and any key of the clone.

Handed to the automation room (its `Sources`); `run` tells the scenarios what happens. Rules: a device is found by its id, whatever it is
called by now; what could not be heard, since too much came at once, is looked up; a key is followed only while somebody asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from wayhouse.automation.model import JobRan, Value
from wayhouse.automation.runs import ScenarioChanged
from wayhouse.automation.scenario import Scenario
from wayhouse.base.errors import BadInputError, NotFoundError, WayhouseError
from wayhouse.base.events import Events
from wayhouse.bus.async_publisher import AsyncKvSubscriberClient
from wayhouse.bus.service import Bus
from wayhouse.devices.model import DeviceChanged, DeviceView, ReadingTaken
from wayhouse.devices.service import Devices
from wayhouse.gateway.scenario_actions import plain

DEVICE, CRON, KEY, SCENARIO = "device:", "cron:", "key:", "scenario:"
KINDS = (DEVICE, CRON, KEY, SCENARIO)
QUEUE = 20_000


class Listeners(Protocol):
    """Who is told; the scenarios' manager."""

    @property
    def scenarios(self) -> dict[str, Scenario]: ...

    def get(self, name: str) -> Scenario:
        """Raises `NotFoundError`."""
        ...

    def receive(self, source: str, value: Value) -> None: ...


class ScenarioSources:
    def __init__(self, bus: Bus, devices: Devices, events: Events) -> None:
        self._bus = bus
        self._devices = devices
        self._events = events
        self._keys: dict[str, AsyncKvSubscriberClient] = {}
        self._entries: dict[str, dict[str, str]] = {}
        """As they were when they were looked up, by scenario."""
        self._placed: dict[str, tuple[str, str] | None] = {}
        """The id of the device and the command of each source of a device; None: it is not there."""
        self._watched: dict[str, dict[str, list[str]]] = {}
        """Sources by the id of the device and the command."""

    # ---- the port

    def current(self, source: str) -> Value:
        if source.startswith(KEY):
            return self._value_of_key(source.removeprefix(KEY))
        if not source.startswith(DEVICE):
            return None
        try:
            if not self._devices.get(_reference(source)).is_available:
                return None
            last = self._devices.last(*self._parts(source))
        except WayhouseError:
            return None
        return None if last is None else _as_value(last.value)

    def check(self, source: str) -> None:
        """A device that is not there may come; a source of no known kind cannot."""
        kind = next((one for one in KINDS if source.startswith(one)), None)
        if kind is None or len(source) == len(kind):
            raise BadInputError(
                f"`{source[:80]}` is no source. Write device:<name>, device:<name>/<command>, cron:<job>, "
                "scenario:<name>/<variable> or key:<key>."
            )

    async def readings(self, source: str, start: float, end: float) -> Sequence[tuple[float, Value]]:
        if not source.startswith(DEVICE):
            return []
        try:
            reference, command = self._parts(source)
            buckets = self._devices.readings(reference, command, start, end)
        except WayhouseError:
            return []
        return [(bucket.time, bucket.mean) for bucket in buckets]

    # ---- telling

    async def run(self, listeners: Listeners) -> None:
        """Tell `listeners` until cancelled."""
        with self._events.subscribe(
            ReadingTaken, DeviceChanged, JobRan, ScenarioChanged, limit=QUEUE
        ) as heard:
            try:
                self._look_up_all(listeners)
                lost = 0
                async for event in heard:
                    self._tell(event, listeners)
                    if heard.lost != lost:
                        lost = heard.lost
                        self._look_up_all(listeners)
            finally:
                self._forget_keys(())

    def _tell(self, event: object, listeners: Listeners) -> None:
        if isinstance(event, ReadingTaken):
            for source in self._watched.get(event.device_id, {}).get(event.command, ()):
                listeners.receive(source, _as_value(event.value))
        elif isinstance(event, JobRan):
            listeners.receive(CRON + event.run.name, event.at)
        elif isinstance(event, DeviceChanged):
            self._device_changed(event, listeners)
        elif isinstance(event, ScenarioChanged) and self._has_other_entries(event.name, listeners):
            self._look_up(listeners)

    def _device_changed(self, event: DeviceChanged, listeners: Listeners) -> None:
        if event.kind == "added":
            self._join(event.device, listeners)
        elif event.kind in {"removed", "renamed"}:
            self._look_up(listeners)
        for sources in tuple(self._watched.get(event.device.id, {}).values()):
            for source in sources:
                listeners.receive(source, self.current(source))

    def _look_up_all(self, listeners: Listeners) -> None:
        for source in self._look_up(listeners):
            if source.startswith(DEVICE):
                listeners.receive(source, self.current(source))

    def _look_up(self, listeners: Listeners) -> set[str]:
        """Which sources are looked at now, and of which device each is."""
        self._entries = {name: one.entries for name, one in listeners.scenarios.items()}
        found = {source for entries in self._entries.values() for source in entries.values()}
        self._watched, self._placed = {}, {}
        for source in found:
            if source.startswith(DEVICE):
                self._place(source)
        self._follow_keys({source.removeprefix(KEY) for source in found if source.startswith(KEY)}, listeners)
        return found

    def _place(self, source: str) -> None:
        part = self._placed[source] = self._part_of(source)
        if part is not None:
            self._watched.setdefault(part[0], {}).setdefault(part[1], []).append(source)

    def _join(self, device: DeviceView, listeners: Listeners) -> None:
        """A new device: only sources that may mean it are looked up, for a thousand may join at once."""
        names = {device.id, device.name, device.fullname}
        parts = (f"{device.name}-", f"{device.fullname}.")
        for source, part in tuple(self._placed.items()):
            reference = _reference(source)
            if reference not in names and not reference.startswith(parts):
                continue
            if part is not None:  # it was the former name of another
                self._look_up(listeners)
                return
            self._place(source)

    def _has_other_entries(self, name: str, listeners: Listeners) -> bool:
        """A scenario changes with each of its variables, too."""
        try:
            return listeners.get(name).entries != self._entries.get(name)
        except NotFoundError:
            return name in self._entries

    def _part_of(self, source: str) -> tuple[str, str] | None:
        """The id of its device, and the command."""
        try:
            reference, command = self._parts(source)
            return self._devices.get(reference).id, self._devices.path_of(reference, command)
        except WayhouseError:
            return None

    def _parts(self, source: str) -> tuple[str, str]:
        """Reference and command. Raises `NoSuchDeviceError`."""
        reference, _, command = source.removeprefix(DEVICE).partition("/")
        return reference, command or self._devices.main_command(reference)

    # ---- keys of the clone

    def _follow_keys(self, keys: set[str], listeners: Listeners) -> None:
        self._forget_keys(keys)
        for key in keys - self._keys.keys():
            self._keys[key] = self._bus.subscriber(_folder(key), _teller(key, listeners))

    def _forget_keys(self, keys: set[str] | tuple[()]) -> None:
        for key in [one for one in self._keys if one not in keys]:
            self._keys.pop(key).destroy()

    def _value_of_key(self, key: str) -> Value:
        follower = self._keys.get(key)
        found = None if follower is None else follower.kvmap.get(key)
        return None if found is None or found.body is None else plain(found.body)


def _teller(key: str, listeners: Listeners) -> Callable[[str, bytes | None], object]:
    def tell(changed: str, body: bytes | None) -> None:
        if changed == key:
            asyncio.get_running_loop().call_soon(
                listeners.receive, KEY + key, None if body is None else plain(body)
            )

    return tell


def _folder(key: str) -> str:
    return key.rpartition("/")[0] + "/"


def _reference(source: str) -> str:
    return source.removeprefix(DEVICE).partition("/")[0]


def _as_value(value: object) -> Value:
    return value if isinstance(value, bool | int | float | str) else None
