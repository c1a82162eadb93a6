"""What a driver's server counts, as the statistics that its worker `<host>.<driver>.statistics` tells.

Counters are SNMP's of 32 bits and are called `<driver>.snmp.<key>`.
"""

from __future__ import annotations

from wayhouse.bus.statistics import SNMP, SNMPCounter, Statistics

COUNTERS = {
    "readings": "values that devices gave",
    "polls": "rounds of reading one device",
    "scans": "looks for devices",
    "commands": "values that devices were told",
    "failures": "calls of the driver that failed",
}


class Counts:
    """One instance for each driver; `devices` is how many there are now."""

    def __init__(self, driver: str) -> None:
        self.statistics = Statistics()
        self._counters = {key: SNMPCounter(f"{driver}.snmp.{key}", doc) for key, doc in COUNTERS.items()}
        self._devices = SNMP(f"{driver}.snmp.devices", "devices that are known", 0)
        for one in (*self._counters.values(), self._devices):
            self.statistics.add_statistic(one)

    def count(self, key: str) -> None:
        self._counters[key].set()

    def set_devices(self, number: int) -> None:
        self._devices.set(number)

    def now(self) -> dict[str, int]:
        """Every number by its key."""
        return {key: one.value for key, one in self._counters.items()} | {"devices": self._devices.value}
