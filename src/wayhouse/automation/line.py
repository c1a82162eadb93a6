"""A cron expression as times that clocks show: which is the next one. Pure; called by `occurrence`, which knows of zones.

Rule: what the fields mean, and which days they name, is cronsim's; the time of day is found in tables made once for each expression.
Times are whole seconds since 1970 began, as if clocks showed UTC.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from datetime import date, timedelta

from cronsim import CronSim

from wayhouse.automation.schedule import SOME_DAY
from wayhouse.automation.zone_time import DAY_S

LONGEST_YEARS = 50
"""What names no day for longer never comes."""
_FIRST_DAY = date(1970, 1, 1).toordinal()
_DAY = timedelta(days=1)
_NEVER = -1


class Line:
    """Raises `CronSimError` when made of nonsense; `schedule.parse` has seen to that."""

    def __init__(self, expression: str) -> None:
        self._fields = CronSim(expression, SOME_DAY)
        self._hours = _following(self._fields.hours, 24)
        self._minutes = _following(self._fields.minutes, 60)
        self._seconds = _following(self._fields.seconds, 60)
        self._known = (0, _NEVER)

    def after(self, time: int) -> int | None:
        """The first time after `time`; None: there is none within 50 years."""
        day, second = divmod(time + 1, DAY_S)
        found = self._day_from(day)
        if found == day:
            of_day = self._of_day(second)
            if of_day != _NEVER:
                return day * DAY_S + of_day
            found = self._day_from(day + 1)
        return None if found is None else found * DAY_S + self._of_day(0)

    def _of_day(self, second: int) -> int:
        """The first one not before that second of a day that is named."""
        hour, second = divmod(second, 3600)
        minute, second = divmod(second, 60)
        if self._hours[hour] == hour:
            if self._minutes[minute] == minute and (found := self._seconds[second]) != _NEVER:
                return hour * 3600 + minute * 60 + found
            if (found := self._minutes[minute + 1]) != _NEVER:
                return hour * 3600 + found * 60 + self._seconds[0]
        hour = self._hours[hour + 1]
        return _NEVER if hour == _NEVER else hour * 3600 + self._minutes[0] * 60 + self._seconds[0]

    def _day_from(self, day: int) -> int | None:
        """The first day that is named, not before that one; both are days since 1970 began. The last answer is remembered."""
        asked, known = self._known
        if asked <= day <= known:
            return known
        found = self._search(date.fromordinal(_FIRST_DAY + day))
        if found is None:
            return None
        number = found.toordinal() - _FIRST_DAY
        self._known = (day, number)
        return number

    def _search(self, day: date) -> date | None:
        last_year = day.year + LONGEST_YEARS
        while day.year <= last_year:
            if day.month not in self._fields.months:
                day = (day.replace(day=1) + 31 * _DAY).replace(day=1)
            elif self._fields.match_day(day):
                return day
            else:
                day += _DAY
        return None


@functools.lru_cache(maxsize=1024)
def line_of(expression: str) -> Line:
    """Read once for all jobs that have it."""
    return Line(expression)


def _following(named: Collection[int], many: int) -> list[int]:
    """Of each number up to `many`, and of that: the first one named that is not less."""
    found = [_NEVER] * (many + 1)
    for number in reversed(range(many)):
        found[number] = number if number in named else found[number + 1]
    return found
