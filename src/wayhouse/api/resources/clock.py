"""The gateway's own clock: who keeps it, whether it is right, and the hardware clock beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wayhouse.access.policy import Right
from wayhouse.api.table import Call, Rows, endpoint
from wayhouse.automation.clock_model import ClockState

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.automation.clocksync import ClockSync

CLOCK = "/api/v1/clock"


class ClockResource:
    def __init__(self, clock_sync: ClockSync) -> None:
        self._clock_sync = clock_sync

    async def state(self, call: Call) -> ClockState:
        return await self._clock_sync.state()

    async def rtc_from_system(self, call: Call) -> ClockState:
        return await self._clock_sync.rtc_from_system()

    async def system_from_rtc(self, call: Call) -> ClockState:
        return await self._clock_sync.system_from_rtc()


_R = ClockResource
STATE = endpoint("GET", CLOCK, Right.SEE_DEVICES, "The clock, and who keeps it", _R.state, reply=ClockState)
RTC_FROM_SYSTEM = endpoint(
    "POST", CLOCK + "/rtc-from-system", Right.ADMINISTER, "Set the hardware clock from the system's",
    _R.rtc_from_system, reply=ClockState,
)  # fmt: skip
SYSTEM_FROM_RTC = endpoint(
    "POST", CLOCK + "/system-from-rtc", Right.ADMINISTER, "Set the system's clock from the hardware clock",
    _R.system_from_rtc, reply=ClockState,
)  # fmt: skip

ROWS: Rows = (STATE, RTC_FROM_SYSTEM, SYSTEM_FROM_RTC)
