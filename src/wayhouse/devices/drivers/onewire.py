"""Thermometers on a 1-Wire bus, as the Linux kernel shows them in sysfs.

Each is a directory `<family>-<12 hex digits>` with a `w1_slave` file; newer kernels add `temperature`. A read takes the
kernel about 750 ms, so all of them happen in one thread of this driver, and a bus that hangs holds up nobody else.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from wayhouse.base.errors import UnavailableError
from wayhouse.devices.drivers.w1_slave import (
    check_empty,
    check_power_on,
    parse_temperature,
    parse_w1_slave,
)
from wayhouse.devices.model import (
    CommandNotAllowedError,
    DeviceGoneError,
    DeviceNotReadyError,
    Found,
    NoSuchCommandError,
    Place,
    Value,
)

T = TypeVar("T")

DEVICES_DIR = Path("/sys/bus/w1/devices")
TRIES = 3
PAUSE_S = 0.2
MAX_FILE_BYTES = 4096
_ADDRESS = re.compile(r"(10|22|28|3b|42)-[0-9a-f]{12}", re.ASCII)
"""DS18S20, DS1822, DS18B20, DS1825, DS28EA00: the families that measure temperature. The bus masters are others."""


class OneWireDriver:
    name = "onewire"

    def __init__(
        self, devices_dir: Path = DEVICES_DIR, *, tries: int = TRIES, pause_s: float = PAUSE_S
    ) -> None:
        self._dir = devices_dir
        self._tries = tries
        self._pause_s = pause_s
        self._before: dict[str, int] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="onewire")

    async def scan(self) -> Sequence[Found]:
        """Raises `UnavailableError` where the kernel shows no 1-Wire bus."""
        return await self._in_thread(self._scan)

    async def read(self, place: Place, command: str, now: float) -> Value:
        """`value` in degrees Celsius. Raises `DeviceGoneError`, `DeviceNotReadyError`."""
        if command != "value":
            raise NoSuchCommandError(f"A 1-Wire thermometer has the value alone, not {command[:80]!r}.")
        return await self._in_thread(lambda: self._read(place.address))

    async def write(self, place: Place, command: str, value: Value, now: float) -> None:
        raise CommandNotAllowedError("A 1-Wire thermometer can only be read.")

    def close(self) -> None:
        """Does not wait for a read that hangs in the kernel."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _scan(self) -> list[Found]:
        try:
            found = sorted(one.name for one in self._dir.iterdir() if one.is_dir())
        except OSError as error:
            raise UnavailableError(
                f"There is no 1-Wire bus at {self._dir}. Load the kernel modules w1-gpio and w1-therm."
            ) from error
        addresses = [name for name in found if _ADDRESS.fullmatch(name)]
        for gone in self._before.keys() - set(addresses):
            del self._before[gone]  # it will have been without power when it is back
        return [Found(one, "sensor.temperature", {"name": one, "unit": "°C"}) for one in addresses]

    def _read(self, address: str) -> float:
        if _ADDRESS.fullmatch(address) is None:
            raise DeviceGoneError(f"{address[:80]!r} is no 1-Wire thermometer.")
        for left in reversed(range(self._tries)):
            try:
                self._before[address] = self._read_once(self._dir / address, self._before.get(address))
                return self._before[address] / 1000
            except DeviceNotReadyError:
                if not left:
                    raise
            time.sleep(self._pause_s)
        raise DeviceNotReadyError("The sensor was not asked.")

    def _read_once(self, directory: Path, before: int | None) -> int:
        text = _text(directory / "w1_slave")
        if text is not None:
            return check_power_on(parse_w1_slave(text), before)
        text = _text(directory / "temperature")
        if text is not None:
            return check_empty(check_power_on(parse_temperature(text), before), before)
        self._before.pop(directory.name, None)
        raise DeviceGoneError(f"The sensor {directory.name} is not on the bus any more.")


def _text(path: Path) -> str | None:
    """None if there is no such file; sensors vanish between two looks at their directory."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode("ascii", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if not path.parent.is_dir():
            return None
        raise DeviceNotReadyError(f"The sensor cannot be read: {error.strerror}.") from error
