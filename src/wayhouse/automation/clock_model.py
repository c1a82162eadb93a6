"""The words of the gateway's own clock: its settings, what is known of it, events, errors.

Used by `clocksync` and its drivers. Rule: an offset is how far a clock is ahead, in seconds; negative: it is behind.
"""

from __future__ import annotations

import enum
import re

import msgspec

from wayhouse.base.errors import BadInputError, ConflictError, ForbiddenError, OutsideError, UnavailableError

NTP_PORT = 123
LONGEST_S = 7 * 86400.0
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253})(?::([0-9]{1,5}))?")


class ClockSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `[clock]` of the settings. `ntp_server` empty: no server is ever asked. `may_set`: administrators may set the machine's
    clocks through the gateway; `sudo`: without rights of its own it does so through `sudo -n`."""

    poll_s: float = 300.0
    ntp_server: str = ""
    most_off_s: float = 1.0
    may_set: bool = False
    sudo: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.poll_s <= LONGEST_S:
            raise BadInputError("`clock.poll_s` is 1 second to 7 days.", path="clock.poll_s")
        if not 0 < self.most_off_s <= LONGEST_S:
            raise BadInputError(
                "`clock.most_off_s` is more than 0 seconds and at most 7 days.", path="clock.most_off_s"
            )
        if self.ntp_server:
            server_of(self.ntp_server)


class Source(enum.StrEnum):
    """What keeps the system's clock. `OTHER`: the kernel says that somebody does, but nobody known here."""

    CHRONY = "chrony"
    TIMESYNCD = "timesyncd"
    OTHER = "other"
    NONE = "none"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a program that keeps the time says. `offset_s`: of the system's clock."""

    source: Source
    is_synchronised: bool
    offset_s: float | None = None
    server: str = ""
    stratum: int | None = None


class ClockState(msgspec.Struct, frozen=True, kw_only=True):
    """`time`: the system's, when it was looked at. `offset_s`: of the system's clock, as `offset_from` says (chrony, timesyncd, or
    `ntp`: measured here). `rtc_offset_s`: of the hardware clock to the system's. `notes`: what is missing or wrong, for people."""

    time: float
    source: Source
    is_synchronised: bool
    offset_s: float | None = None
    offset_from: str = ""
    server: str = ""
    stratum: int | None = None
    rtc: float | None = None
    rtc_offset_s: float | None = None
    notes: tuple[str, ...] = ()


class ClockSynced(msgspec.Struct, frozen=True):
    """Event: the clock is right, and was not, or this was not known."""

    state: ClockState


class ClockOff(msgspec.Struct, frozen=True):
    """Event: the clock is off by more than the settings allow, or nobody keeps it any more."""

    state: ClockState


class NoHardwareClockError(UnavailableError):
    code = "no-hardware-clock"
    title = "There is no hardware clock"


class ClockRightsError(ForbiddenError):
    code = "clock-rights"
    title = "The gateway may not set clocks"


class ClockKeptError(ConflictError):
    code = "clock-kept"
    title = "The clock is kept by somebody else"


class HardwareClockWrongError(ConflictError):
    code = "hardware-clock-wrong"
    title = "The hardware clock is wrong"


class ClockFailedError(OutsideError):
    code = "clock-failed"
    title = "A clock could not be read or set"


def server_of(text: str) -> tuple[str, int]:
    """Host and port of `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`. Raises `BadInputError`."""
    found = _SERVER.fullmatch(text)
    port = int(found[2] or NTP_PORT) if found else 0
    if found is None or not 1 <= port <= 65535:
        raise BadInputError(
            f"{text[:80]!r} names no NTP server. Write a host such as `pool.ntp.org`, or `HOST:PORT`.",
            path="clock.ntp_server",
        )
    return found[1].strip("[]"), port
