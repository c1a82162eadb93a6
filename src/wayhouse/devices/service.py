"""The verbs of the devices: the one class that others call. The gateway gives it drivers and starts it.

A device is named by its id, its name, a former name, or one of these with `-subdevice`. Facts go out as the events
`DeviceChanged` and `ReadingTaken`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from wayhouse.base import codec
from wayhouse.base.clock import Clock
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError, WayhouseError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.bus.statistics import Statistics
from wayhouse.devices.buckets import Bucket
from wayhouse.devices.command import Command
from wayhouse.devices.device import Json
from wayhouse.devices.graph import MAX_SERIES_SHOWN, Graph, Line
from wayhouse.devices.intake import Intake
from wayhouse.devices.log import DeviceLog
from wayhouse.devices.model import (
    ChangeKind,
    DeviceView,
    LastValue,
    LogEntry,
    NoSuchDeviceError,
    NoSuchDriverError,
    Value,
)
from wayhouse.devices.ports import Driver
from wayhouse.devices.readings import MAX_BUCKETS, Readings
from wayhouse.devices.record import Record
from wayhouse.devices.recorder import Recorder
from wayhouse.devices.register import DeviceRegister, standard_register
from wayhouse.devices.roster import Roster
from wayhouse.devices.server import Pace, Server
from wayhouse.devices.store import DeviceStore

MAX_SHOWN = 120
log = logging.getLogger(__name__)


class Devices:
    """`hostname` is the first part of every full name: `<hostname>.<driver>.<name>`."""

    def __init__(
        self,
        database: Database,
        events: Events,
        clock: Clock,
        drivers: Sequence[Driver] = (),
        *,
        hostname: str = "localhost",
        register: DeviceRegister | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._clock = clock
        self._roster = Roster(DeviceStore(database), register or standard_register())
        readings, device_log = Readings(database), DeviceLog(database)
        self._intake = Intake(hostname, readings, device_log, events)
        self._recorder = Recorder(database, clock, (readings, device_log))
        servers = (Server(one, self._roster, self._intake, clock, pace) for one in drivers)
        self._servers = {server.driver.name: server for server in servers}
        self._has_let_go = False

    def hold(self) -> None:
        """Until the drivers have looked for devices, which begins with `start`, who asks or tells a device waits a little: what a predecessor
        holds cannot be had yet."""
        for server in self._servers.values():
            server.hold()

    def start(self, tasks: Tasks) -> None:
        """One task for each driver, and one that writes history."""
        tasks.spawn(self._recorder.run(), name="devices-recorder")
        for name, server in self._servers.items():
            tasks.spawn(server.run(), name=f"devices-{name}")
            tasks.spawn(server.listen(), name=f"devices-{name}-told")

    async def keep(self) -> None:
        """Put on disk what waits for it; before the process rests, for what waits is in its memory alone."""
        await self._recorder.keep()

    def let_go(self) -> None:
        """Of what the drivers hold, after their tasks have ended; for ever."""
        if not self._has_let_go:
            self._has_let_go = True
            for server in self._servers.values():
                server.driver.close()

    def close(self) -> None:
        self.let_go()
        self._recorder.close()

    @property
    def hostname(self) -> str:
        return self._intake.hostname

    def now(self) -> float:
        """Unix seconds."""
        return self._clock.wall()

    def all(self, *, area: str | None = None, driver: str | None = None) -> list[DeviceView]:
        """By name; of one area or driver if asked."""
        views = (record.view(self._intake.hostname) for record in self._roster.all(driver))
        return [view for view in views if area in {None, view.area}]

    def list_keys(self, driver: str) -> list[str]:
        """The names of a driver's devices. Raises `NoSuchDriverError`."""
        return [one.device.name for one in self._roster.all(self._server(driver).driver.name)]

    def areas(self) -> list[str]:
        return sorted({record.device.known.area for record in self._roster.all()} - {""})

    def drivers(self) -> list[str]:
        return sorted(self._servers)

    def is_well(self, driver: str) -> bool:
        """Whether the driver could look for devices the last time. Raises `NoSuchDriverError`."""
        return self._server(driver).is_well

    def statistics(self, driver: str) -> Statistics:
        """What the driver's server counted, and how many devices it has now. Raises `NoSuchDriverError`."""
        counts = self._server(driver).counts
        counts.set_devices(len(self._roster.all(driver)))
        return counts.statistics

    def counts(self, driver: str) -> dict[str, int]:
        """The same as plain numbers. Raises `NoSuchDriverError`."""
        counts = self._server(driver).counts
        counts.set_devices(len(self._roster.all(driver)))
        return counts.now()

    def templates(self) -> dict[str, dict[str, Any]]:
        """Of every type: `{"config": JSON Schema, "commands": {...}}`."""
        return self._roster.register.templates()

    def template(self, oid: str) -> dict[str, Any]:
        return self._roster.register.type_of(oid).type_template()

    def get(self, reference: str) -> DeviceView:
        """The device, also when a sub-device of it is named. Raises `NoSuchDeviceError`."""
        return self._find(reference)[0].view(self._intake.hostname)

    def commands(self, reference: str) -> dict[str, Command]:
        """What the device can be asked and told, by name; for a sub-device its own. Raises `NoSuchDeviceError`."""
        record, subdevice = self._find(reference)
        found = record.device.all_commands()
        start = f"{subdevice}."
        return (
            {name.removeprefix(start): one for name, one in found.items() if name.startswith(start)}
            if subdevice
            else found
        )

    def main_command(self, reference: str) -> str:
        """The command whose value stands for the device: `value`, or the first live one that can be read."""
        commands = self.commands(reference)
        live = (name for name, one in commands.items() if one.is_live and not one.writeonly)
        return "value" if "value" in commands else next(live, "commands")

    async def new(self, json: Json, *, driver: str, address: str = "", who: str = "") -> DeviceView:
        """Make a device by hand; its address at the driver is its name if none is given.

        Raises `BadDeviceError`, `NameTakenError`, `NoSuchDriverError`, `TooManyDevicesError`.
        """
        self._server(driver)
        place = address or self._roster.register.new(json).name
        return self._tell(await self._roster.add(driver, place, json), "added", "Added by hand.", who)

    async def delete(self, reference: str, *, who: str = "") -> None:
        """With its history. What a driver still sees comes back as a new device."""
        record, _ = self._find(reference)
        await self._roster.remove(record)
        await self._intake.readings.forget(record.id)
        await self._intake.device_log.forget(record.id)
        self._intake.forget(record)
        log.info(
            "the device %s of %s is removed by %s", record.device.name, record.driver, who or "the gateway"
        )
        self._tell(record, "removed")

    async def rename(self, reference: str, name: str, *, who: str = "") -> DeviceView:
        """The id stays, and the old name still finds the device until another takes it."""
        return await self._change(reference, {"name": name}, "renamed", who)

    async def move(self, reference: str, area: str, *, who: str = "") -> DeviceView:
        """Into another area; "" is none."""
        return await self._change(reference, {"area": area}, "moved", who)

    async def configure(self, reference: str, config: dict[str, Any], *, who: str = "") -> DeviceView:
        """Replace the config; the type stays as it is."""
        record, _ = self._find(reference)
        before = record.device.config
        await self._roster.configure(record, {"oid": record.device.oid} | config)
        record.health.next_poll = 0.0
        return self._tell(record, "configured", _difference(before, record.device.config), who)

    async def command(self, reference: str, name: str, value: Value = None, *, who: str = "") -> Value:
        """Read (`value` None) or write a command; answers the value that holds now.

        Raises `NoSuchDeviceError`, `NoSuchCommandError`, `CommandNotAllowedError`, `BadValueError`, and
        `DeviceGoneError`, `DeviceNotReadyError` or `DriverFailedError` from the device.
        """
        record, command, path = self._described(reference, name)
        if value is None:
            command.require_readable()
        else:
            command.require_writable()
            value = command.check(value)
        if not command.is_live:
            return await self._own(record, path, value, who)
        server = self._server(record.driver)
        if value is None:
            return await server.read(record, path)
        await self._write(server, record, path, value, who)
        return value

    async def command_text(self, reference: str, name: str, text: str, *, who: str = "") -> Value:
        """`command` with a value out of a frame or a form field."""
        value = self._described(reference, name)[1].from_text(text)
        return await self.command(reference, name, value, who=who)

    def path_of(self, reference: str, name: str) -> str:
        """The command as readings call it: `volume.level` for `level` of `tv-volume`. Raises `NoSuchCommandError`."""
        return self._described(reference, name)[2]

    def last(self, reference: str, name: str) -> LastValue | None:
        """The newest value without asking the device."""
        record, _, path = self._described(reference, name)
        return record.values.get(path)

    def readings(
        self, reference: str, name: str, start: float, end: float, *, points: int = MAX_BUCKETS
    ) -> list[Bucket]:
        """History from `start` to `end` (Unix seconds), oldest first, at most `points`. Raises `BadInputError`."""
        record, _, path = self._described(reference, name)
        now = self._clock.wall()
        return self._intake.readings.between(record.id, path, start, end, now=now, points=points)

    def graph(self, references: Sequence[str], start: float, end: float, *, points: int = 300) -> Graph:
        """The history of several values in one answer, all in the same steps. A reference is a device, or
        `device/command`; also a key `/device/<fullname>[/command]`. Raises `NoSuchDeviceError`, `BadInputError`."""
        if not 0 < len(references) <= MAX_SERIES_SHOWN:
            raise BadInputError(f"A graph shows 1 to {MAX_SERIES_SHOWN} values.", path="key")
        lines = tuple(self._line(one, start, end, points) for one in references)
        return Graph(start, end, lines)

    def log(self, reference: str, *, limit: int = 100, before: int | None = None) -> list[LogEntry]:
        """What happened to the device, newest first; `before` continues below the number of an entry."""
        record, _ = self._find(reference)
        return self._intake.device_log.entries(record.id, limit=limit, before=before)

    def _line(self, key: str, start: float, end: float, points: int) -> Line:
        reference, name = self.parts_of(key)
        record, command, _ = self._described(reference, name)
        buckets = self.readings(reference, name, start, end, points=points)
        return Line(key, record.device.name, name, command.unit, tuple(buckets))

    def parts_of(self, key: str) -> tuple[str, str]:
        """Device and command of `device`, `device/command` or `/device/<fullname>[/command]`; without a command, the one
        of which there is history. Raises `NoSuchDeviceError`."""
        reference, _, name = key.removeprefix("/device/").partition("/")
        if not name:
            commands = self.commands(reference)
            kept = (one for one, command in commands.items() if command.datasource is not None)
            name = "value" if "value" in commands else next(kept, self.main_command(reference))
        return reference, name

    async def _write(self, server: Server, record: Record, path: str, value: Value, who: str) -> None:
        """What was told, and whether it worked, is in the device's log."""
        text = f"{path} = {codec.encode_json(value).decode()[:MAX_SHOWN]}"
        try:
            await server.write(record, path, value)
        except WayhouseError as error:
            self._intake.note(record, "failed", self._clock.wall(), f"{text}: {error.message}", who)
            raise
        self._intake.note(record, "command", self._clock.wall(), text, who)

    async def _own(self, record: Record, path: str, value: Value, who: str) -> Value:
        """A command that the gateway answers itself."""
        if value is None:
            return record.device.read(path)
        if path == "reset":
            self._reset(record)
            self._tell(record, "reset", "Failures and last values are forgotten.", who)
            return value
        trial = type(record.device).new(record.device.config)
        trial.write(path, value)
        before = record.device.config
        await self._roster.configure(record, trial.config)
        record.health.next_poll = 0.0
        self._tell(record, "configured", _difference(before, record.device.config), who)
        return value

    def _reset(self, record: Record) -> None:
        record.values.clear()
        record.health.failures = 0
        record.health.next_poll = 0.0
        self._intake.forget(record)

    async def _change(self, reference: str, change: dict[str, Any], kind: ChangeKind, who: str) -> DeviceView:
        record, _ = self._find(reference)
        before = record.device.config
        await self._roster.configure(record, before | change)
        told = (f"{key}: {before.get(key, '')!r} is now {value!r}" for key, value in change.items())
        return self._tell(record, kind, ", ".join(told), who)

    def _find(self, reference: str) -> tuple[Record, str]:
        """Also by a full name `<hostname>.<driver>.<name>[.<subdevice>]`; names themselves have no dots."""
        start = f"{self._intake.hostname}."
        if not reference.startswith(start):
            return self._roster.find(reference)
        driver, _, rest = reference.removeprefix(start).partition(".")
        record, subdevice = self._roster.find(rest.replace(".", "-"))
        if record.driver != driver:
            raise NoSuchDeviceError(f"The driver {driver[:80]} has no device {rest[:80]!r}.")
        return record, subdevice

    def _described(self, reference: str, name: str) -> tuple[Record, Command, str]:
        record, subdevice = self._find(reference)
        path = f"{subdevice}.{name}" if subdevice else name
        return record, record.device.command(path), path

    def _tell(self, record: Record, kind: ChangeKind, text: str = "", who: str = "") -> DeviceView:
        self._intake.changed(record, kind, self._clock.wall(), text=text, who=who)
        return record.view(self._intake.hostname)

    def _server(self, driver: str) -> Server:
        server = self._servers.get(driver)
        if server is None:
            raise NoSuchDriverError(
                f"There is no driver {driver[:80]!r}. Choose one of {', '.join(self.drivers()) or 'none'}."
            )
        return server


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The names of what is different; never the values, which may be secret."""
    keys = [key for key in (*before, *after) if before.get(key) != after.get(key)]
    return f"Changed: {', '.join(dict.fromkeys(keys))}." if keys else "Nothing is different."
