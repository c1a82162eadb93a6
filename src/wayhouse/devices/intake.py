"""What is known of the devices becomes facts here: last values, history, events. Server and service hand it in."""

from __future__ import annotations

import logging

from wayhouse.base.errors import WayhouseError
from wayhouse.base.events import Events
from wayhouse.devices.command import Command
from wayhouse.devices.log import DeviceLog
from wayhouse.devices.model import (
    BadValueError,
    ChangeKind,
    DeviceChanged,
    DeviceNoted,
    DeviceNotReadyError,
    LastValue,
    LogKind,
    ReadingTaken,
    Value,
)
from wayhouse.devices.rates import next_number
from wayhouse.devices.readings import Readings
from wayhouse.devices.record import Record

log = logging.getLogger(__name__)


class Intake:
    def __init__(self, hostname: str, readings: Readings, device_log: DeviceLog, events: Events) -> None:
        self.hostname = hostname
        self.readings = readings
        self.device_log = device_log
        self._events = events
        self._before: dict[tuple[str, str], tuple[float, float]] = {}
        self._refused: set[tuple[str, str]] = set()

    def take(self, record: Record, command: str, value: Value, wall: float) -> Value:
        """A driver's answer, checked; keeps it, publishes it, and answers it. Raises `DeviceNotReadyError` for a value
        that does not fit its command."""
        described = record.device.command(command)
        try:
            checked = described.check(value)
        except BadValueError as error:
            raise DeviceNotReadyError(
                f"{record.device.name} gave a value that cannot be used: {error.message}"
            ) from error
        record.values[command] = LastValue(checked, wall, described.unit)
        self._events.publish(
            ReadingTaken(
                record.id,
                record.device.name,
                record.fullname_of(self.hostname, command),
                command,
                checked,
                described.unit,
                wall,
            )
        )
        if record.device.known.log and described.datasource is not None:
            self._keep(record, described, command, checked, wall)
        return checked

    def changed(
        self, record: Record, kind: ChangeKind, wall: float, *, text: str = "", who: str = ""
    ) -> None:
        """`text` says in the device's log what changed."""
        self._events.publish(DeviceChanged(kind, record.view(self.hostname), wall))
        if kind != "removed":
            self.note(record, kind, wall, text, who)

    def note(self, record: Record, kind: LogKind, wall: float, text: str, who: str = "") -> None:
        """A line of the device's log."""
        entry = self.device_log.add(record.id, wall, kind, text, who)
        self._events.publish(DeviceNoted(record.id, record.device.name, entry))

    def forget(self, record: Record) -> None:
        """Rates begin anew for this device."""
        for key in [key for key in self._before if key[0] == record.id]:
            del self._before[key]
        self._refused = {key for key in self._refused if key[0] != record.id}

    def _keep(self, record: Record, described: Command, command: str, value: Value, wall: float) -> None:
        """History that cannot be written is no reason to lose the value."""
        if described.datasource is None or not isinstance(value, (int, float)):
            return
        key = (record.id, command)
        number = next_number(described.datasource, self._before.get(key), wall, float(value))
        self._before[key] = (wall, float(value))
        if number is None:
            return
        try:
            self.readings.add(record.id, command, wall, number)
        except WayhouseError as error:
            if key not in self._refused:
                log.warning("no history of %s %s: %s", record.device.name, command, error)
            self._refused.add(key)
