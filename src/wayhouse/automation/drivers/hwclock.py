"""The hardware clock (RTC): read with hwclock(8), or from sysfs where that is not allowed; set with hwclock alone.

Rule: one that is not there is None; one that may not be set is an error that says how to allow it.
"""

from __future__ import annotations

import os
import re
import time
from datetime import datetime
from pathlib import Path

from wayhouse.automation.clock_model import ClockFailedError, ClockRightsError, NoHardwareClockError
from wayhouse.automation.drivers.programs import Programs, Ran

SINCE_EPOCH = Path("/sys/class/rtc/rtc0/since_epoch")
ADJTIME = Path("/etc/adjtime")
MAX_FILE = 4096
_NO_RIGHT = re.compile(r"permi|superuser|root|password|not allowed|sudoers|privilege", re.IGNORECASE)
_NO_CLOCK = re.compile(r"cannot access the hardware clock|no such (?:file|device)", re.IGNORECASE)


class HardwareClock:
    def __init__(
        self,
        programs: Programs,
        *,
        through_sudo: bool = False,
        since_epoch: Path = SINCE_EPOCH,
        adjtime: Path = ADJTIME,
    ) -> None:
        self._programs = programs
        self._through_sudo = through_sudo and os.geteuid() != 0
        self._since_epoch = since_epoch
        self._adjtime = adjtime

    async def read(self) -> float | None:
        """What it said when this was called, Unix seconds; from sysfs it is right to half a second."""
        ran = await self._programs.run("hwclock", "--get")
        found = parse(ran.out) if ran is not None and ran.is_done else None
        return found if found is not None else self._from_sysfs()

    async def set_from_system(self) -> None:
        """Raises `ClockRightsError`, `NoHardwareClockError`, `ClockFailedError`."""
        await self._set("--systohc")

    async def set_system(self) -> None:
        """The system's clock from this one. Raises as `set_from_system`."""
        await self._set("--hctosys")

    async def _set(self, option: str) -> None:
        where = self._programs.where("hwclock")
        if where is None:
            raise NoHardwareClockError(
                "There is no program hwclock on this machine. Install the package util-linux-extra or util-linux."
            )
        if self._through_sudo:
            ran = await self._programs.run("sudo", "-n", where, option)
        else:
            ran = await self._programs.run("hwclock", option)
        if ran is None or not ran.is_done:
            raise self._failure(ran, f"{where} {option}")

    def _failure(
        self, ran: Ran | None, line: str
    ) -> ClockRightsError | NoHardwareClockError | ClockFailedError:
        said = " ".join((ran.err or ran.out).split())[:300] if ran is not None else "there is no sudo"
        if _NO_CLOCK.search(said):
            return NoHardwareClockError(f"This machine has no hardware clock that can be used: {said}")
        if ran is None or _NO_RIGHT.search(said):
            return ClockRightsError(
                f"The gateway may not set clocks ({said}). Run it as root, or set `clock.sudo` and allow its user "
                f"`{line}` without a password in sudoers."
            )
        return ClockFailedError(f"`{line}` failed: {said or f'exit code {ran.code}'}")

    def _from_sysfs(self) -> float | None:
        seconds = _read(self._since_epoch).strip()
        if not seconds.isascii() or not seconds.isdigit() or len(seconds) > 11:
            return None
        return _as_kept(int(seconds), _read(self._adjtime)) + 0.5


def parse(text: str) -> float | None:
    """What `hwclock --get` prints, such as `2026-03-01 12:00:00.123456+01:00`, as Unix seconds."""
    try:
        found = datetime.fromisoformat(text.strip())
        return found.timestamp() if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _as_kept(seconds: int, adjtime: str) -> float:
    """The third line of adjtime(5) says whether the clock is set to local time, which sysfs takes for UTC."""
    lines = adjtime.splitlines()
    if len(lines) < 3 or lines[2].strip() != "LOCAL":
        return float(seconds)
    try:
        return time.mktime((*time.gmtime(seconds)[:8], -1))
    except (OverflowError, ValueError):
        return float(seconds)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as open_file:
            return open_file.read(MAX_FILE).decode("utf-8", "replace")
    except OSError:
        return ""
