"""What a schedule means, said in English, for whoever typed it. Pure; called by the API's preview."""

from __future__ import annotations

from cronsim import CronSim

from wayhouse.automation.schedule import SOME_DAY, UNITS_S, AtBoot, Calendar, Every, Schedule, Sun

_UNITS = {"d": "day", "h": "hour", "m": "minute", "s": "second"}


def describe(schedule: Schedule) -> str:
    """One sentence without a full stop, such as `At 07:30 on Monday through Friday`."""
    match schedule:
        case Calendar():
            return CronSim(schedule.expression, SOME_DAY).explain()
        case Every():
            text = _long(schedule.period_s)
            return f"Every {text.removeprefix('1 ') if text.count(' ') == 1 else text}"
        case Sun():
            return _by_the_sun(schedule)
        case AtBoot():
            return "Once after each start of the machine"


def _by_the_sun(schedule: Sun) -> str:
    if not schedule.offset_s:
        return f"Every day at {schedule.phase}"
    side = "after" if schedule.offset_s > 0 else "before"
    return f"Every day {_long(abs(schedule.offset_s))} {side} {schedule.phase}"


def _long(seconds: int) -> str:
    parts = list[str]()
    for letter, unit_s in UNITS_S.items():
        count, seconds = divmod(seconds, unit_s)
        if count:
            parts.append(f"{count} {_UNITS[letter]}{'' if count == 1 else 's'}")
    return " ".join(parts)
