"""What scenarios can watch, by the names to write: for the lists that a field suggests. Asks the rooms at each call."""

from __future__ import annotations

from wayhouse.automation.cron_service import CronManager
from wayhouse.devices.service import Devices

MOST = 500


class SourceNames:
    def __init__(self, devices: Devices, crons: CronManager) -> None:
        self._devices = devices
        self._crons = crons

    def all(self) -> list[str]:
        """`device:<name>`, `device:<name>/<command>`, `cron:<job>`; at most `MOST`."""
        found: list[str] = []
        for device in self._devices.all():
            found.append(f"device:{device.name}")
            found += [f"device:{device.name}/{name}" for name in device.values if name != "value"]
        found += [f"cron:{job.name}" for job in self._crons.list()]
        return found[:MOST]
