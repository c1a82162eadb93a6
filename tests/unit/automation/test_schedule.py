"""What lines say, and that nothing else is taken."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wayhouse.automation.model import BadScheduleError, Place
from wayhouse.automation.occurrence import next_after
from wayhouse.automation.schedule import AtBoot, Calendar, Every, Phase, Sun, parse


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("30 7 * * mon-fri", Calendar("30 7 * * MON-FRI", is_each_hour=False)),
        ("*/5  *\x20* * *", Calendar("*/5 * * * *", is_each_hour=True)),
        ("* 0-23 * * *", Calendar("* 0-23 * * *", is_each_hour=True)),
        ("* */2 * * *", Calendar("* */2 * * *", is_each_hour=False)),
        ("@hourly", Calendar("0 * * * *", is_each_hour=True)),
        ("@Daily", Calendar("0 0 * * *", is_each_hour=False)),
        ("@reboot", AtBoot()),
        ("@sunrise", Sun(Phase.SUNRISE)),
        ("@sunrise+00:30", Sun(Phase.SUNRISE, 1800)),
        ("@dusk-01:05", Sun(Phase.DUSK, -3900)),
        ("@every 90s", Every(90)),
        ("@every 1h30m", Every(5400)),
        ("@every 1d 1s", Every(86401)),
    ],
)
def test_lines(line: str, meaning: object) -> None:
    assert parse(line) == meaning


@pytest.mark.parametrize(
    "line",
    [
        "",
        "* * * *",
        "* * * * * * *",
        "61 * * * *",
        "0 0 31 2 *",
        "a b c d e",
        "@",
        "@noon",
        "@sunrise+24:00",
        "@sunrise+1:00",
        "@every",
        "@every 0s",
        "@every 367d",
        "@every -5s",
        "@every s",
        "* * * * *\n* * * * *",
        "٣ * * * *",
        "9" * 5000,
        f"{'9' * 200} * * * *",
        "0 0 * * ²L",
    ],
)
def test_what_is_no_time_is_refused_with_an_example(line: str) -> None:
    with pytest.raises(BadScheduleError, match=r"`.*`"):
        parse(line)


FIELD = st.from_regex(r"[0-9*,/#L-]{1,6}|LW|MON#[0-9]|[A-Z]{3}", fullmatch=True)
LINE = st.one_of(
    st.text(max_size=40),
    st.lists(FIELD, min_size=5, max_size=6).map(" ".join),
    st.from_regex(r"@(every|sunset|dawn)[ +-]?[0-9:dhms]{0,9}", fullmatch=True),
)


@settings(max_examples=300, deadline=None)
@given(LINE, st.floats(0, 4e9))
@example("0 0 29 2 MON#5", 1.7e9)
@example("0 0 L 2 SUN#5", 1.7e9)
def test_any_line_is_refused_or_has_a_next_time(line: str, instant: float) -> None:
    try:
        schedule = parse(line)
    except BadScheduleError:
        return
    found = next_after(schedule, instant, Place("Europe/Berlin", 52.5, 13.4))
    assert found is None or found > instant
