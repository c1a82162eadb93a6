"""What a line of a schedule says: a cron expression, `@hourly` and its like, `@sunset-00:30`, `@every 90s`, `@reboot`.

Called by `cron` and by whoever checks what people type. Rule: whatever is not clearly a time is refused with a text that shows
how to say it. When it is next is `occurrence`'s business.
"""

from __future__ import annotations

import enum
import re
from datetime import datetime

import msgspec
from cronsim import CronSim, CronSimError

from wayhouse.automation.model import BadScheduleError

MAX_LINE = 256
MAX_PERIOD_S = 366 * 86400
NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
UNITS_S = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_EXAMPLES = "Examples: `30 7 * * MON-FRI`, `@daily`, `@sunset-00:30`, `@every 90s`, `@reboot`."
_SUN = re.compile(r"@(sunrise|sunset|dawn|dusk)(?:([+-])([01][0-9]|2[0-3]):([0-5][0-9]))?")
_PERIOD = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
SOME_DAY = datetime(2024, 1, 1)  # noqa: DTZ001 - what clocks show


class Phase(enum.StrEnum):
    """Of the sun; dawn and dusk are civil: 6 degrees below the horizon."""

    DAWN = "dawn"
    SUNRISE = "sunrise"
    SUNSET = "sunset"
    DUSK = "dusk"


class Calendar(msgspec.Struct, frozen=True):
    """A cron expression of 5 fields, or of 6 with seconds first. `is_each_hour`: it leaves no hour of a day out."""

    expression: str
    is_each_hour: bool


class Sun(msgspec.Struct, frozen=True):
    phase: Phase
    offset_s: int = 0


class Every(msgspec.Struct, frozen=True):
    period_s: int


class AtBoot(msgspec.Struct, frozen=True):
    """Once after each boot of the machine."""


Schedule = Calendar | Sun | Every | AtBoot


def parse(line: str) -> Schedule:
    """Raises `BadScheduleError` with what is wrong and examples."""
    if len(line) > MAX_LINE or not line.isascii() or not line.isprintable():
        raise BadScheduleError(f"A schedule is one line of at most {MAX_LINE} plain characters. {_EXAMPLES}")
    text = " ".join(line.split())
    return _special(text.lower()) if text.startswith("@") else _calendar(text.upper())


def _special(text: str) -> Schedule:
    if text in NAMED:
        return _calendar(NAMED[text])
    if text == "@reboot":
        return AtBoot()
    if text.startswith("@every"):
        return Every(_period(text.removeprefix("@every").replace(" ", "")))
    sun = _SUN.fullmatch(text)
    if sun is None:
        raise BadScheduleError(f"`{text}` is not known. {_EXAMPLES}")
    phase, sign, hours, minutes = sun.groups(default="0")
    offset = int(hours) * 3600 + int(minutes) * 60
    return Sun(Phase(phase), -offset if sign == "-" else offset)


def _period(text: str) -> int:
    found = _PERIOD.fullmatch(text)
    numbers = found.groups(default="0") if found else ()
    total = sum(int(number) * unit for number, unit in zip(numbers, UNITS_S.values(), strict=False))
    if not 1 <= total <= MAX_PERIOD_S:
        raise BadScheduleError("`@every` takes one second to 366 days, such as `@every 90s`, `@every 1h30m`.")
    return total


def _calendar(text: str) -> Calendar:
    try:
        cron = CronSim(text, SOME_DAY)
        next(cron)
    except CronSimError as error:
        raise BadScheduleError(f"`{text}`: {str(error).lower()}. {_EXAMPLES}") from error
    except (StopIteration, ValueError, OverflowError) as error:
        raise BadScheduleError(f"`{text}` names a day that never comes. {_EXAMPLES}") from error
    return Calendar(text, is_each_hour=len(cron.hours) == 24)
