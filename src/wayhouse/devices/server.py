"""One driver at work: what it sees joins the roster, and its devices are polled. Runs as one task for each driver.

A driver that hangs or fails holds up its own devices alone. Every call of it has a time limit, and every failure is
the device's health; nothing that a driver raises ends the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from wayhouse.base.clock import Clock
from wayhouse.base.errors import WayhouseError
from wayhouse.devices.counts import Counts
from wayhouse.devices.intake import Intake
from wayhouse.devices.model import (
    ChangeKind,
    CommandNotAllowedError,
    DeviceGoneError,
    DriverFailedError,
    Found,
    NoSuchDeviceError,
    Value,
)
from wayhouse.devices.polling import wait_s
from wayhouse.devices.ports import Driver, Telling
from wayhouse.devices.record import Record
from wayhouse.devices.roster import Roster
from wayhouse.devices.told import Fact, Gone, Mailbox, Told

T = TypeVar("T")
log = logging.getLogger(__name__)

MAX_REFUSED = 1000


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often a driver looks for devices, how long one of its calls may take, the longest pause between rounds."""

    scan_s: int = 30
    call_limit_s: float = 10.0
    round_s: float = 1.0


class Server:
    def __init__(
        self, driver: Driver, roster: Roster, intake: Intake, clock: Clock, pace: Pace | None = None
    ) -> None:
        self.driver = driver
        self.counts = Counts(driver.name)
        self._roster = roster
        self._intake = intake
        self._clock = clock
        self._pace = pace or Pace()
        self._next_scan = 0.0
        self._failed_scans = 0
        self._seen: set[str] = set()
        self._refused: set[str] = set()
        self._one_call = asyncio.Lock()
        self._looked = asyncio.Event()
        self._looked.set()
        self._told = Mailbox()
        if isinstance(driver, Telling):
            driver.listen(self._told)

    @property
    def is_well(self) -> bool:
        """Whether the driver could look for devices the last time."""
        return self._failed_scans == 0

    def hold(self) -> None:
        """Reads and writes wait for the next scan, but not for longer than a call may take."""
        self._looked.clear()

    async def run(self) -> None:
        """Rounds without end."""
        while True:
            await self.round()
            await self._clock.sleep(self._pace.round_s)

    async def listen(self) -> None:
        """Takes what the driver's devices say unasked, without end; beside `run`."""
        while True:
            await self.hear(await self._told.next())

    async def hear(self, told: Told) -> None:
        """Nothing that was said can end the server; what does not fit its command is the device's health."""
        if not isinstance(told, Fact | Gone):
            self._next_scan = 0.0
            return
        record = self._roster.at(self.driver.name, told.address)
        if record is None:
            return  # it will be read when it has joined
        try:
            if isinstance(told, Gone):
                self._seen.discard(told.address)  # when it is seen again, it is back
                raise DeviceGoneError(told.reason)
            self._intake.take(record, told.command, told.value, self._clock.wall())
            self.counts.count("readings")
        except WayhouseError as error:
            await self._failed(record, error)
        else:
            await self._answered(record)

    async def round(self) -> None:
        """Look for devices if it is time, and poll those that are due."""
        if self._clock.monotonic() >= self._next_scan:
            await self.scan()
        for record in self._roster.all(self.driver.name):
            if record.health.is_due(record.device.known.poll, self._clock.monotonic()):
                await self.poll(record)

    async def scan(self) -> None:
        """Add what is new, and notice what came back and what is gone."""
        self.counts.count("scans")
        # Before the scan, so that a wish for another that comes during it stays.
        self._next_scan = self._clock.monotonic() + self._pace.scan_s
        try:
            found = await self._call(self.driver.scan)
            for one in found:
                await self._meet_or_refuse(one)
            await self._miss({one.address for one in found})
        except WayhouseError as error:
            self._scan_failed(error)
        else:
            self._failed_scans = 0
        finally:
            self._looked.set()

    async def poll(self, record: Record) -> None:
        """Read every live command that can be read; the answers are kept, a failure is its health."""
        self.counts.count("polls")
        live = [
            path for path, one in record.device.all_commands().items() if one.is_live and not one.writeonly
        ]
        for path in live:
            try:
                await self.read(record, path)
            except WayhouseError:
                break
        record.health.plan(record.device.known.poll, self._clock.monotonic())

    async def read(self, record: Record, path: str) -> Value:
        """Raises what the driver raised, as a `WayhouseError`; the device's health knows of it."""
        await self._first_look()
        now = self._clock.wall()
        try:
            value = await self._call(lambda: self.driver.read(record.place, path, now))
            self._roster.require(record)
            checked = self._intake.take(record, path, value, now)
            self.counts.count("readings")
        except WayhouseError as error:
            await self._failed(record, error)
            raise
        await self._answered(record)
        return checked

    async def write(self, record: Record, path: str, value: Value) -> None:
        await self._first_look()
        now = self._clock.wall()
        self.counts.count("commands")
        try:
            await self._call(lambda: self.driver.write(record.place, path, value, now))
            self._roster.require(record)
        except WayhouseError as error:
            await self._failed(record, error)
            raise
        await self._answered(record)
        if record.device.command(path).writeonly:
            record.health.next_poll = 0.0  # a button changes something else: look
        else:
            self._intake.take(record, path, value, now)

    async def _first_look(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pace.call_limit_s):
                await self._looked.wait()

    async def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        """The border to the driver: one call at a time, for a limited time, and only `WayhouseError` comes out."""
        name = self.driver.name
        try:
            async with self._one_call, asyncio.timeout(self._pace.call_limit_s):
                return await work()
        except TimeoutError as error:
            raise DriverFailedError(
                f"The driver {name} gave no answer within {self._pace.call_limit_s:g} s."
            ) from error
        except WayhouseError:
            raise
        except Exception as error:
            log.exception("the driver %s failed", name)
            raise DriverFailedError(
                f"The driver {name} failed: {type(error).__name__}. See the log."
            ) from error

    async def _meet_or_refuse(self, found: Found) -> None:
        """One device that cannot join must not keep the others out; the log says so once."""
        try:
            await self._meet(found)
        except WayhouseError as error:
            if found.address not in self._refused:
                log.warning("%s of the driver %s cannot join: %s", found.address, self.driver.name, error)
            if len(self._refused) >= MAX_REFUSED:
                self._refused.clear()
            self._refused.add(found.address)

    async def _meet(self, found: Found) -> None:
        known = self._roster.at(self.driver.name, found.address)
        if known is None:
            name = self._roster.free_name(str(found.config.get("name", found.address)))
            config = found.config | {"oid": found.oid, "name": name}
            known = await self._roster.add(self.driver.name, found.address, config)
            text = f"The driver {self.driver.name} has found it."
            self._intake.changed(known, "added", self._clock.wall(), text=text)
        elif found.address not in self._seen:
            known.health.next_poll = 0.0  # it is back: ask at once

    async def _miss(self, seen: set[str]) -> None:
        """What the last scan saw and this one does not is gone, without waiting for a poll to fail."""
        for address in self._seen - seen:
            record = self._roster.at(self.driver.name, address)
            if record is not None:
                await self._failed(record, DeviceGoneError(f"The driver {self.driver.name} sees it no more."))
        self._seen = seen

    def _scan_failed(self, error: WayhouseError) -> None:
        self.counts.count("failures")
        if self._failed_scans == 0:
            log.warning("the driver %s cannot look for devices: %s", self.driver.name, error)
        self._failed_scans += 1
        self._seen = set()
        self._next_scan = self._clock.monotonic() + wait_s(self._pace.scan_s, self._failed_scans)

    async def _answered(self, record: Record) -> None:
        if record.health.answered(self._clock.wall()):
            await self._tell(record, is_available=True)

    async def _failed(self, record: Record, error: WayhouseError) -> None:
        if isinstance(error, NoSuchDeviceError | CommandNotAllowedError):
            return  # that it does not take this says nothing of how it is
        self.counts.count("failures")
        if record.health.failed(error.message, is_gone=isinstance(error, DeviceGoneError)):
            await self._tell(record, is_available=False)

    async def _tell(self, record: Record, *, is_available: bool) -> None:
        kind: ChangeKind = "available" if is_available else "unavailable"
        text = "It answers." if is_available else record.health.reason
        self._intake.changed(record, kind, self._clock.wall(), text=text)
        try:
            await self._roster.remember(record)
        except WayhouseError as error:
            log.warning("the last sight of %s is not on disk: %s", record.device.name, error)
