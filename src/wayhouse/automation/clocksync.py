"""The gateway's own clock: who keeps it, whether it is right, and the hardware clock beside it.

Called by the API; the gateway starts it, and it looks again each `poll_s`. Rules: whatever is missing on a machine is a state with
a note, never an error; no server is asked that the settings do not name; a clock that somebody keeps well is not set from a worse one;
none is set at all unless the settings allow it.
"""

from __future__ import annotations

import asyncio
import logging

from wayhouse.automation.clock_model import (
    ClockFailedError,
    ClockKeptError,
    ClockOff,
    ClockRightsError,
    ClockSettings,
    ClockState,
    ClockSynced,
    HardwareClockWrongError,
    Kept,
    NoHardwareClockError,
    Source,
    server_of,
)
from wayhouse.automation.drivers import chrony, kernel_clock, ntp, timedatectl
from wayhouse.automation.drivers.hwclock import HardwareClock
from wayhouse.automation.drivers.programs import Programs
from wayhouse.base.clock import Clock
from wayhouse.base.errors import WayhouseError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks

FRESH_S = 5.0
"""Whoever asks again within this gets the last answer: it costs several processes."""
EARLIEST = 1_704_067_200.0
"""2024: a hardware clock that says less has lost its battery."""
log = logging.getLogger(__name__)


class ClockSync:
    """`programs` and `hardware` are the machine's own, if not given."""

    def __init__(
        self,
        settings: ClockSettings,
        clock: Clock,
        events: Events,
        tasks: Tasks,
        *,
        programs: Programs | None = None,
        hardware: HardwareClock | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._events = events
        self._tasks = tasks
        self._programs = programs or Programs()
        self._hardware = hardware or HardwareClock(self._programs, through_sudo=settings.sudo)
        self._looking = asyncio.Lock()
        self._last: ClockState | None = None
        self._looked = 0.0
        self._was_right: bool | None = None
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look now, and each `poll_s`; publishes `ClockSynced` and `ClockOff`."""
        if self._running is None:
            self._running = self._tasks.spawn(self._poll(), name="clock")

    async def stop(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait([running])

    async def state(self) -> ClockState:
        """As it is now, or was at most `FRESH_S` ago."""
        async with self._looking:
            if self._last is None or self._clock.monotonic() - self._looked > FRESH_S:
                self._last = await self._look()
                self._looked = self._clock.monotonic()
                self._tell(self._last)
            return self._last

    async def rtc_from_system(self) -> ClockState:
        """Set the hardware clock. Raises `ClockRightsError`, `NoHardwareClockError`, `ClockFailedError`."""
        self._demand_may_set()
        await self._hardware.set_from_system()
        return await self._anew()

    async def system_from_rtc(self) -> ClockState:
        """Set the system's clock. Raises as `rtc_from_system`, `ClockKeptError` and `HardwareClockWrongError`."""
        self._demand_may_set()
        state = await self._anew()
        if state.is_synchronised:
            raise ClockKeptError(
                f"The system's clock is synchronised already (by {state.source.value}), and is better than the hardware clock. "
                "Set the hardware clock from it instead."
            )
        if state.rtc is None:
            raise NoHardwareClockError("This machine has no hardware clock that can be read.")
        if state.rtc < EARLIEST:
            raise HardwareClockWrongError(
                "The hardware clock says a time long ago: its battery may be empty. Set it from the system first."
            )
        await self._hardware.set_system()
        return await self._anew()

    def _demand_may_set(self) -> None:
        if not self._settings.may_set:
            raise ClockRightsError(
                "This gateway leaves the machine's clocks alone. Set `clock.may_set = true` in its settings if it may set them."
            )

    async def _anew(self) -> ClockState:
        self._last = None
        return await self.state()

    async def _poll(self) -> None:
        while True:
            try:
                await self.state()
            except (WayhouseError, OSError) as error:
                log.warning("the clock cannot be looked at: %s", error)
            await self._clock.sleep(self._settings.poll_s)

    async def _look(self) -> ClockState:
        kept = await chrony.ask(self._programs) or await timedatectl.ask(self._programs) or _unseen()
        notes = [] if kept.is_synchronised else [_why_not(kept)]
        offset_s, offset_from = kept.offset_s, kept.source.value if kept.offset_s is not None else ""
        server, stratum = kept.server, kept.stratum
        if offset_s is None and self._settings.ntp_server:
            try:
                answer = await ntp.ask(*server_of(self._settings.ntp_server), self._clock)
                offset_s, offset_from, stratum = answer.offset_s, "ntp", answer.stratum
                server = self._settings.ntp_server
            except ClockFailedError as error:
                notes.append(error.message)
        now = self._clock.wall()
        rtc = await self._hardware.read()
        if rtc is None:
            notes.append("There is no hardware clock that can be read: after a power cut the time is lost.")
        return ClockState(
            time=now,
            source=kept.source,
            is_synchronised=kept.is_synchronised,
            offset_s=offset_s,
            offset_from=offset_from,
            server=server,
            stratum=stratum,
            rtc=rtc,
            rtc_offset_s=None if rtc is None else rtc - now,
            notes=tuple(notes),
        )

    def _tell(self, state: ClockState) -> None:
        is_right = state.is_synchronised
        if state.offset_s is not None:
            is_right = abs(state.offset_s) <= self._settings.most_off_s
        if is_right is not self._was_right:
            self._was_right = is_right
            self._events.publish(ClockSynced(state) if is_right else ClockOff(state))


def _unseen() -> Kept:
    is_synchronised = kernel_clock.is_synchronised() is True
    return Kept(source=Source.OTHER if is_synchronised else Source.NONE, is_synchronised=is_synchronised)


def _why_not(kept: Kept) -> str:
    if kept.source is Source.NONE:
        return (
            "Nothing keeps the time. Install chrony, or switch systemd-timesyncd on: timedatectl set-ntp true"
        )
    return f"{kept.source.value} runs, but is not synchronised yet."
