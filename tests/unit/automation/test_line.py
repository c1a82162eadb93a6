"""Times that clocks show, one after the other, as cronsim finds them by walking."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.automation.line import Line, line_of
from wayhouse.automation.model import BadScheduleError
from wayhouse.automation.schedule import Calendar, parse

EPOCH = datetime(1970, 1, 1)
SECONDS = st.sampled_from(["", "", "0 ", "* ", "*/7 ", "59 ", "5,30-33 "])
MINUTES = st.sampled_from(["*", "0", "7", "*/15", "59", "10-40/7", "0,30"])
HOURS = st.sampled_from(["*", "0", "1", "0-3", "*/2", "23", "0,23", "8-17"])
DAYS = st.sampled_from(["*", "*", "1", "31", "L", "LW", "*/2", "28-31", "13"])
MONTHS = st.sampled_from(["*", "*", "2", "3,10", "*/4", "DEC"])
WEEKDAYS = st.sampled_from(["*", "*", "0", "MON-FRI", "FRI", "MON#5", "5L", "7"])


def times(expression: str, time: int, many: int) -> list[int | None]:
    line, found = Line(expression), list[int | None]()
    at: int | None = time
    while len(found) < many and at is not None:
        found.append(at := line.after(at))
    return found


def walked(expression: str, time: int, many: int) -> list[int | None]:
    cron = CronSim(expression, EPOCH + timedelta(seconds=time))
    return [(one - EPOCH) // timedelta(seconds=1) for one in itertools.islice(cron, many)]


@settings(max_examples=200, deadline=None)
@given(SECONDS, MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS, st.integers(0, 4_000_000_000))
def test_it_agrees_with_cronsim(
    second: str, minute: str, hour: str, day: str, month: str, weekday: str, time: int
) -> None:
    try:
        schedule = parse(f"{second}{minute} {hour} {day} {month} {weekday}")
    except BadScheduleError:
        return
    assert isinstance(schedule, Calendar)
    assert times(schedule.expression, time, 8) == walked(schedule.expression, time, 8)


def seconds(*when: int) -> int:
    return (datetime(*when) - EPOCH) // timedelta(seconds=1)


@pytest.mark.parametrize(
    ("expression", "time", "following"),
    [
        ("* * * * *", (2026, 1, 1), (2026, 1, 1, 0, 1)),
        ("59 23 31 12 *", (2026, 12, 31, 23, 58, 59), (2026, 12, 31, 23, 59)),
        ("59 23 31 12 *", (2026, 12, 31, 23, 59), (2027, 12, 31, 23, 59)),
        ("0 0 29 2 *", (2096, 2, 29), (2104, 2, 29)),
        ("0 0 * 2 MON#5", (2072, 2, 29), (2112, 2, 29)),
        ("59 59 23 * * *", (2026, 1, 1, 23, 59, 58), (2026, 1, 1, 23, 59, 59)),
    ],
)
def test_ends_of_minutes_days_and_years(
    expression: str, time: tuple[int, ...], following: tuple[int, ...]
) -> None:
    assert line_of(expression).after(seconds(*time)) == seconds(*following)


def test_what_is_remembered_does_not_hold_for_earlier_times() -> None:
    line = Line("0 12 1 * *")
    late, early = seconds(2026, 6, 15), seconds(2026, 2, 15)
    assert [
        line.after(one) for one in (late, early, late, seconds(2026, 6, 1, 12), seconds(2026, 6, 30))
    ] == [
        seconds(2026, 7, 1, 12),
        seconds(2026, 3, 1, 12),
        seconds(2026, 7, 1, 12),
        seconds(2026, 7, 1, 12),
        seconds(2026, 7, 1, 12),
    ]


def test_a_day_that_never_comes() -> None:
    assert Line("0 0 */29 2 MON#5").after(0) is None
