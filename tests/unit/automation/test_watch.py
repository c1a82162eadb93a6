"""When a scenario fires: entries, conditions, schedules, and all of it over a restart. Time is an argument."""

from __future__ import annotations

from typing import Any

import pytest

from wayhouse.automation.condition import Above, AllOf, AtMost, Changed, Equals, For, Not
from wayhouse.automation.cron import Now
from wayhouse.automation.model import Place
from wayhouse.automation.scenario import Scenario
from wayhouse.automation.watch import PATIENCE_S, Fire, Kept, Missed, Watch, WatchState, describe
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError

NOON = 1_772_366_400.0


def at(seconds: float) -> Now:
    return Now(1000 + seconds, NOON + seconds)


def watch(state: WatchState | None = None, now: Now | None = None, **fields: Any) -> Watch:
    return Watch(Scenario(name="one", **fields), Place(), "boot", now or at(0), state)


def test_an_entry_that_changes() -> None:
    one = watch(entries={"a": "device:a", "also": "device:a", "b": "device:b"})
    assert not one.receive("device:a", 1, at(0))
    assert not one.receive("device:a", 1, at(1))
    assert not one.receive("device:x", 1, at(1))
    assert one.receive("device:a", 2, at(2))
    assert one.events() == [Fire("entry a"), Fire("entry also")]
    one.receive("device:a", None, at(3))
    one.receive("device:a", 3, at(3))
    assert one.events() == []
    one.receive("device:b", 1, at(4))
    one.receive("device:b", True, at(4))
    assert one.events() == [Fire("entry b")]


def test_a_job_is_an_event_each_time() -> None:
    one = watch(entries={"tick": "cron:tick"})
    one.receive("cron:tick", 5.0, at(0))
    one.receive("cron:tick", 5.0, at(1))
    assert one.events() == [Fire("entry tick"), Fire("entry tick")]
    one = watch(entries={"tick": "cron:tick", "t": "device:t"}, when=AllOf((Changed("tick"), Above("t", 5))))
    one.receive("device:t", 6, at(0))
    one.receive("cron:tick", 5.0, at(1))
    assert one.events() == [Fire("entry tick")]


def test_more_entries_than_conditions_may_have() -> None:
    one = watch(entries={f"e{number}": f"device:{number}" for number in range(100)})
    for value in (1, 2):
        for number in range(100):
            one.receive(f"device:{number}", value, at(value))
    assert len(one.events()) == 100


def test_at_most() -> None:
    one = watch(entries={"a": "device:a"}, at_most=AtMost(times=2, seconds=60))
    for number in range(5):
        one.receive("device:a", number, at(number))
    found = one.events()
    assert found[:2] == [Fire("entry a"), Fire("entry a")]
    assert found[2] == Kept("entry a", pytest.approx(58))
    again = watch(one.unsaved(at(5)), at(10), entries={"a": "device:a"}, at_most=AtMost(times=2, seconds=60))
    again.receive("device:a", 9, at(10))
    assert isinstance(again.events()[0], Kept)


def test_a_wait_shows_and_goes_on_over_a_restart() -> None:
    when, entries = For(600.0, Above("t", 20)), {"t": "device:t"}
    one = watch(entries=entries, when=when)
    assert one.unsaved(at(0)) is None
    assert one.receive("device:t", 21, at(0))
    state = one.unsaved(at(100))
    assert state is not None
    assert one.unsaved(at(100)) is None
    assert not one.receive("device:t", 22, at(100))
    (wait,) = one.waits(at(100))
    assert (wait.text, wait.until) == ("t above 20 for 600 s", NOON + 600)
    state = codec.decode_json(codec.encode_json(state), WatchState)
    again = watch(state, Now(5, NOON + 500), entries=entries, when=when)
    again.receive("device:t", 23, Now(5, NOON + 500))
    assert again.deadline() == pytest.approx(105)
    again.tick(Now(105, NOON + 600))
    assert again.events() == [Fire("wait")]
    assert again.waits(at(600)) == []


def test_a_change_is_known_over_a_restart() -> None:
    when, entries = AllOf((Changed("a"), Above("b", 1))), {"a": "device:a", "b": "device:b"}
    one = watch(entries=entries, when=when)
    one.receive("device:a", 1, at(0))
    assert one.receive("device:a", 2, at(1))
    again = watch(one.unsaved(at(1)), at(9), entries=entries, when=when)
    again.receive("device:b", 5, at(9))
    again.receive("device:a", 2, at(9))
    assert again.events() == []


def test_schedules_are_not_caught_up() -> None:
    one = watch(schedules=("0 13 * * *", "@every 10m"))
    assert one.next_run == NOON + 600
    one.tick(at(600))
    assert one.events() == [Fire("schedule @every 10m")]
    state = one.unsaved(at(600))
    again = watch(state, at(7200), schedules=("0 13 * * *", "@every 10m"))
    again.tick(at(7200))
    found = again.events()
    assert [one for one in found if isinstance(one, Missed)] == [
        Missed("0 13 * * *", NOON + 3600, NOON + 3600)
    ]
    assert again.next_run is not None
    assert again.next_run > NOON + 7200


def test_schedules_beside_a_condition() -> None:
    one = watch(entries={"t": "device:t"}, when=Above("t", 5), schedules=("@every 60s",))
    one.receive("device:t", 6, at(0))
    one.tick(at(60))
    assert one.events() == [Fire("entry t"), Fire("schedule @every 60s")]


def test_nothing_to_watch() -> None:
    one = watch()
    assert one.deadline() == float("inf")
    assert one.next_run is None
    assert not one.receive("device:a", 1, at(0))
    one.tick(at(1))
    assert one.waits(at(1)) == one.events() == []


def test_the_sun_needs_a_place() -> None:
    with pytest.raises(BadInputError):
        watch(schedules=("@sunset",))


def test_conditions_in_words() -> None:
    assert (
        describe(Not(AllOf((Equals("a", "x"), Changed("b"))))) == 'not of (all of (a equals "x", b changed))'
    )
    assert describe(For(5.0, Above("a", 1.5))) == "(a above 1.5 for 5 s)"


def test_since_when_a_schedule_is_watched_is_remembered_at_once() -> None:
    """Else a crash before its first time would begin anew, and a time of the moment that the gateway was away would be lost."""
    one = watch(schedules=("30 12 * * *",))
    state = one.unsaved(at(5))
    assert state is not None
    assert one.unsaved(at(6)) is None
    later = watch(state, at(1830), schedules=("30 12 * * *",))
    assert later.unsaved(at(1830)) is None
    later.tick(at(1830))
    assert later.events() == [Fire("schedule 30 12 * * *")]
    assert watch(entries={"a": "device:a"}).unsaved(at(0)) is None


SLOW = {"entries": {"t": "device:t"}, "when": For(100.0, Above("t", 5))}


def held(**fields: Any) -> WatchState:
    """Of a wait that began at 0, when the gateway ended at 40."""
    one = watch(**fields)
    one.receive("device:t", 6, at(0))
    one.tick(at(40))
    return one.state(at(40))


def test_a_wait_goes_on_although_its_sensor_has_said_nothing_yet_after_a_restart() -> None:
    one = watch(held(**SLOW), at(50), **SLOW)
    one.receive("device:t", None, at(50))
    one.tick(at(50))
    assert [wait.until for wait in one.waits(at(50))] == [NOON + 100]
    one.receive("device:t", 7, at(60))
    one.tick(at(60))
    assert one.deadline() == 1100
    one.tick(at(100))
    assert one.events() == [Fire("wait")]


@pytest.mark.parametrize(("value", "found"), [(7, [Fire("entry t")]), (1, [])])
def test_a_wait_that_ends_before_its_sensor_says_something_goes_by_that(
    value: float, found: list[Fire]
) -> None:
    one = watch(held(**SLOW), at(95), **SLOW)
    one.receive("device:t", None, at(95))
    one.tick(at(120))
    assert one.events() == []
    one.receive("device:t", value, at(130))
    one.tick(at(130))
    assert one.events() == found


def test_a_sensor_that_stays_away_breaks_the_wait() -> None:
    one = watch(held(**SLOW), at(95), **SLOW)
    one.receive("device:t", None, at(95))
    assert one.deadline() == 1095 + PATIENCE_S
    one.tick(at(95 + PATIENCE_S))
    assert (one.events(), one.waits(at(155))) == ([], [])
    one.receive("device:t", 7, at(200))
    assert one.deadline() == 1300
    one.receive("device:t", None, at(210))
    assert one.waits(at(210)) == []
