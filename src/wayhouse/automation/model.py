"""The words of automation: where the gateway is, a job and what became of it, values, events, errors.

Used by every file of the room. Rule: moments are Unix seconds, durations are seconds, names are short and plain.
"""

from __future__ import annotations

import enum
import functools
import re
import zoneinfo
from collections.abc import Sequence

import msgspec

from wayhouse.base.errors import BadInputError, ConflictError, NotFoundError

Value = bool | int | float | str | None
"""What a source says; None: it has nothing to say (a sensor that is away)."""

MAX_INTEGER = 2**63 - 1
"""Larger ones cannot be stored; what says one says nothing."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")


class BadScheduleError(BadInputError):
    """A line that says no time; the message shows what is wrong and what would be right."""

    code = "bad-schedule"
    title = "This schedule cannot be understood"


class NoSuchJobError(NotFoundError):
    code = "no-such-job"
    title = "No such job"


class JobExistsError(ConflictError):
    code = "job-exists"
    title = "There is a job of this name already"


class CatchUp(enum.StrEnum):
    """What is done about times that passed while the gateway was stopped or suspended, or that the clock jumped over."""

    NONE = "none"
    ONCE = "once"
    ALL = "all"


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the gateway is: an IANA time zone, and degrees north and east for what goes by the sun."""

    zone: str = "UTC"
    latitude: float | None = None
    longitude: float | None = None

    def __post_init__(self) -> None:
        zone_of(self.zone)
        if (self.latitude is None) != (self.longitude is None):
            raise BadInputError("A place needs both latitude and longitude, or neither of them.")
        if not -90 <= (self.latitude or 0.0) <= 90 or not -180 <= (self.longitude or 0.0) <= 180:
            raise BadInputError("Latitude goes from -90 to 90 degrees, longitude from -180 to 180.")


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to happen when. `limit`: how many missed times are caught up at most with `CatchUp.ALL`, the latest ones."""

    name: str
    schedule: str
    catch_up: CatchUp = CatchUp.NONE
    limit: int = 10
    is_paused: bool = False

    def __post_init__(self) -> None:
        check_name(self.name, "job")
        if not 1 <= self.limit <= 100:
            raise BadInputError("The limit of a job is 1 to 100 missed runs.", path="limit")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a job: `since`: times up to this one are done with; `last`: when it was last due and run;
    `boot`: the last boot of the machine it has seen; `before`: what `since` was each time that the clock
    was set back, the latest last."""

    since: float
    last: float | None = None
    boot: str = ""
    before: tuple[float, ...] = ()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A job is to run now. `due`: when it should have been; `is_catch_up`: it comes from a time that was missed."""

    name: str
    due: float
    is_catch_up: bool = False


class JobRan(msgspec.Struct, frozen=True):
    """Event: a job is due. It is on disk that this run was given out, so no restart gives it out again."""

    run: Run
    at: float


class JobMissed(msgspec.Struct, frozen=True):
    """Event: times of a job, at `first`, at `last` and all between, passed without a run."""

    name: str
    first: float
    last: float


class JobChanged(msgspec.Struct, frozen=True):
    """Event: a job was added, paused or resumed; `job` is None when it was removed."""

    name: str
    job: Job | None


def check_name(name: str, what: str) -> None:
    """Raises `BadInputError`."""
    if not NAME.fullmatch(name):
        raise BadInputError(
            f"The name of a {what} has 1 to 64 letters, digits, spaces and `_.-`, a letter or digit first.",
            path="name",
        )


@functools.lru_cache(maxsize=64)
def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """Raises `BadInputError` for a zone that this machine does not know."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInputError(
            f"There is no time zone {name[:64]!r}. Use an IANA name such as `Europe/Berlin` or `UTC`.",
            path="zone",
        ) from error


def names(found: Sequence[str]) -> str:
    """For messages: the first few of them."""
    return ", ".join(found[:8]) or "none"
