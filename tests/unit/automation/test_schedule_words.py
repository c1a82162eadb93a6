"""Schedules said in English."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.automation.model import BadScheduleError
from wayhouse.automation.schedule import parse
from wayhouse.automation.schedule_words import describe


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("30 7 * * MON-FRI", "At 07:30 on Monday through Friday"),
        ("@daily", "At 00:00 every day"),
        ("@every 90s", "Every 1 minute 30 seconds"),
        ("@every 1h", "Every hour"),
        ("@every 2d", "Every 2 days"),
        ("@sunset", "Every day at sunset"),
        ("@sunset-00:30", "Every day 30 minutes before sunset"),
        ("@dawn+01:05", "Every day 1 hour 5 minutes after dawn"),
        ("@reboot", "Once after each start of the machine"),
    ],
)
def test_words(line, words):
    assert describe(parse(line)) == words


@given(st.text(alphabet="0123456789*/-,LW# MONTUE", max_size=30))
def test_whatever_is_a_schedule_has_words(line):
    try:
        schedule = parse(line)
    except BadScheduleError:
        return
    assert describe(schedule)
