"""The verbs of the devices: the one class that others call. The gateway gives it drivers and starts it.

A device is named by its id, its name, a former name, or one of these with `-subdevice`. Facts go out as the events
`DeviceChanged` and `ReadingTaken`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wayhouse.base.clock import Clock
from wayhouse.base.database import Database
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.devices.command import Command
from wayhouse.devices.device import Json
from wayhouse.devices.intake import Intake
from wayhouse.devices.model import ChangeKind, DeviceView, LastValue, NoSuchDriverError, Value
from wayhouse.devices.ports import Driver
from wayhouse.devices.readings import MAX_BUCKETS, Bucket, Readings
from wayhouse.devices.record import Record
from wayhouse.devices.register import DeviceRegister, standard_register
from wayhouse.devices.roster import Roster
from wayhouse.devices.server import Pace, Server
from wayhouse.devices.store import DeviceStore


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
        self._intake = Intake(hostname, Readings(database), events)
        servers = (Server(one, self._roster, self._intake, clock, pace) for one in drivers)
        self._servers = {server.driver.name: server for server in servers}

    def start(self, tasks: Tasks) -> None:
        """One task for each driver."""
        for name, server in self._servers.items():
            tasks.spawn(server.run(), name=f"devices-{name}")

    def close(self) -> None:
        """Let go of the drivers, after their tasks have ended."""
        for server in self._servers.values():
            server.driver.close()

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

    def templates(self) -> dict[str, dict[str, Any]]:
        """Of every type: `{"config": JSON Schema, "commands": {...}}`."""
        return self._roster.register.templates()

    def template(self, oid: str) -> dict[str, Any]:
        return self._roster.register.type_of(oid).type_template()

    def get(self, reference: str) -> DeviceView:
        """The device, also when a sub-device of it is named. Raises `NoSuchDeviceError`."""
        return self._roster.find(reference)[0].view(self._intake.hostname)

    async def new(self, json: Json, *, driver: str, address: str = "") -> DeviceView:
        """Make a device by hand; its address at the driver is its name if none is given.

        Raises `BadDeviceError`, `NameTakenError`, `NoSuchDriverError`, `TooManyDevicesError`.
        """
        self._server(driver)
        place = address or self._roster.register.new(json).name
        return self._tell(await self._roster.add(driver, place, json), "added")

    async def delete(self, reference: str) -> None:
        """With its history. What a driver still sees comes back as a new device."""
        record, _ = self._roster.find(reference)
        await self._roster.remove(record)
        await self._intake.readings.forget(record.id)
        self._intake.forget(record)
        self._tell(record, "removed")

    async def rename(self, reference: str, name: str) -> DeviceView:
        """The id stays, and the old name still finds the device until another takes it."""
        return await self._change(reference, {"name": name}, "renamed")

    async def move(self, reference: str, area: str) -> DeviceView:
        """Into another area; "" is none."""
        return await self._change(reference, {"area": area}, "moved")

    async def configure(self, reference: str, config: dict[str, Any]) -> DeviceView:
        """Replace the config; the type stays as it is."""
        record, _ = self._roster.find(reference)
        await self._roster.configure(record, {"oid": record.device.oid} | config)
        record.health.next_poll = 0.0
        return self._tell(record, "configured")

    async def command(self, reference: str, name: str, value: Value = None) -> Value:
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
            return await self._own(record, path, value)
        server = self._server(record.driver)
        if value is None:
            return await server.read(record, path)
        await server.write(record, path, value)
        return value

    async def command_text(self, reference: str, name: str, text: str) -> Value:
        """`command` with a value out of a frame or a form field."""
        return await self.command(reference, name, self._described(reference, name)[1].from_text(text))

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

    async def _own(self, record: Record, path: str, value: Value) -> Value:
        """A command that the gateway answers itself."""
        if value is None:
            return record.device.read(path)
        if path == "reset":
            self._reset(record)
            return value
        trial = type(record.device).new(record.device.config)
        trial.write(path, value)
        await self._roster.configure(record, trial.config)
        record.health.next_poll = 0.0
        self._tell(record, "configured")
        return value

    def _reset(self, record: Record) -> None:
        record.values.clear()
        record.health.failures = 0
        record.health.next_poll = 0.0
        self._intake.forget(record)

    async def _change(self, reference: str, change: dict[str, Any], kind: ChangeKind) -> DeviceView:
        record, _ = self._roster.find(reference)
        await self._roster.configure(record, record.device.config | change)
        return self._tell(record, kind)

    def _described(self, reference: str, name: str) -> tuple[Record, Command, str]:
        record, subdevice = self._roster.find(reference)
        path = f"{subdevice}.{name}" if subdevice else name
        return record, record.device.command(path), path

    def _tell(self, record: Record, kind: ChangeKind) -> DeviceView:
        self._intake.changed(record, kind, self._clock.wall())
        return record.view(self._intake.hostname)

    def _server(self, driver: str) -> Server:
        server = self._servers.get(driver)
        if server is None:
            raise NoSuchDriverError(
                f"There is no driver {driver[:80]!r}. Choose one of {', '.join(self.drivers()) or 'none'}."
            )
        return server
