"""When triggers fire, told as plays: who says what at which second."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.automation.condition import (
    Above,
    AllOf,
    AnyOf,
    AtMost,
    Below,
    Changed,
    Condition,
    Equals,
    For,
    Not,
)
from wayhouse.automation.model import Value
from wayhouse.automation.trigger import Fired, Limited, Trigger, TriggerState
from wayhouse.base import codec


def fires(trigger: Trigger, *said: tuple[float, Value], source: str = "t") -> list[float]:
    """The seconds at which it fired."""
    found = []
    for now, value in said:
        while trigger.deadline() <= now:
            due = trigger.deadline()
            trigger.tick(due)
            found += [due for event in trigger.events() if isinstance(event, Fired)]
        trigger.receive(source, value, now)
        found += [now for event in trigger.events() if isinstance(event, Fired)]
    return found


def test_above_with_hysteresis() -> None:
    said: list[tuple[float, Value]] = [(0, 19.0), (1, 20.5), (2, 19.8), (3, 20.5), (4, 18.9), (5, 20.1)]
    assert fires(Trigger(Above("t", 20.0)), *said) == [1, 3, 5]
    assert fires(Trigger(Above("t", 20.0, 1.0)), *said) == [1, 5]


def test_below_fires_with_its_first_value_too() -> None:
    assert fires(Trigger(Below("t", 5.0, 1.0)), (0, 3), (1, 5.5), (2, 4), (3, 6), (4, 4.9)) == [0, 4]


def test_what_is_unknown_changes_nothing() -> None:
    said: list[tuple[float, Value]] = [
        (0, 30),
        (1, None),
        (2, 30),
        (3, "away"),
        (4, math.nan),
        (5, True),
        (6, 30),
    ]
    assert fires(Trigger(Above("t", 20.0)), *said) == [0]
    assert fires(Trigger(Not(Above("t", 20.0))), *said[1:]) == []


def test_a_number_that_cannot_be_stored_says_nothing() -> None:
    assert fires(Trigger(Above("t", 20.0)), (0, 10**400), (1, math.nan), (2, 21)) == [2]


def test_equals_tells_true_from_one() -> None:
    assert fires(Trigger(Equals("t", value=True)), (0, 1), (1, True), (2, "True"), (3, True)) == [1, 3]
    assert fires(Trigger(Equals("t", 1)), (0, True), (1, 1.0)) == [1]


def test_each_change_fires() -> None:
    assert fires(Trigger(Changed("t")), (0, 1), (1, 1), (2, 2), (3, 3), (4, None), (5, 3), (6, True)) == [
        2,
        3,
        6,
    ]


def test_for_a_while() -> None:
    trigger = Trigger(For(60.0, Below("t", 5.0)))
    assert fires(trigger, (0, 4), (50, 6), (55, 4), (100, 4), (200, 4), (300, 9), (301, 4), (400, 4)) == [
        115,
        361,
    ]
    assert trigger.deadline() == math.inf


def test_silence_for_a_while() -> None:
    assert fires(
        Trigger(For(10.0, Not(Changed("t")))), (0, 1), (5, 2), (9, 3), (30, 4), (35, 4), (50, 5)
    ) == [19, 40]


def test_a_wait_that_was_over_is_not_undone_by_a_late_word() -> None:
    trigger = Trigger(For(10.0, Above("t", 1.0)))
    trigger.receive("t", 2, 0.0)
    trigger.receive("t", 0, 11.0)
    assert trigger.events() == [Fired(None)]


def test_all_and_any() -> None:
    both = Trigger(AllOf((Above("t", 1.0), Equals("d", "open"))))
    both.receive("t", 2, 0.0)
    assert both.events() == []
    both.receive("d", "open", 1.0)
    both.receive("stranger", 1, 2.0)
    assert both.events() == [Fired("d")]
    one = Trigger(AnyOf((Above("t", 1.0), Equals("d", "open"))))
    assert one.sources == ["d", "t"]
    one.receive("t", 2, 0.0)
    assert one.events() == [Fired("t")]


def test_the_rate_limit_says_when_it_may_again() -> None:
    trigger = Trigger(Changed("t"), AtMost(2, 60.0))
    for now in range(5):
        trigger.receive("t", now, float(now))
    assert trigger.events() == [Fired("t"), Fired("t"), Limited("t", 58.0), Limited("t", 57.0)]
    trigger.receive("t", 9, 61.0)
    assert trigger.events() == [Fired("t")]


def restarted(old: Trigger, when: Condition, at: float, now: float, away_s: float) -> Trigger:
    state = codec.decode_json(codec.encode_json(old.state(at)), TriggerState)
    fresh = Trigger(when)
    fresh.restore(state, now, away_s)
    return fresh


def test_a_wait_goes_on_over_a_restart() -> None:
    when = For(600.0, Below("t", 5.0))
    old = Trigger(when)
    old.receive("t", 4, 1000.0)
    trigger = restarted(old, when, 1100.0, 5.0, 60.0)
    assert trigger.deadline() == 5 + 600 - 100 - 60
    trigger.tick(445.0)
    assert trigger.events() == [Fired(None)]
    again = restarted(trigger, when, 445.0, 0.0, 1.0)
    again.tick(1000.0)
    assert again.events() == []


def test_what_is_known_after_a_restart_breaks_a_wait_that_ended_meanwhile() -> None:
    when = For(600.0, Below("t", 5.0))
    old = Trigger(when)
    old.receive("t", 4, 1000.0)
    for value, expected in ((9, []), (3, [Fired("t")])):
        trigger = restarted(old, when, 1100.0, 5.0, 3600.0)
        trigger.receive("t", value, 5.0)
        trigger.tick(5.0)
        assert trigger.events() == expected


def test_latches_limits_and_changes_survive() -> None:
    when = Above("t", 20.0, 2.0)
    old = Trigger(when)
    old.receive("t", 21, 0.0)
    trigger = restarted(old, when, 0.0, 0.0, 0.0)
    trigger.receive("t", 19, 1.0)
    trigger.receive("t", 21, 2.0)
    assert trigger.events() == []
    limited = Trigger(Changed("t"), AtMost(1, 60.0))
    limited.receive("t", 1, 0.0)
    limited.receive("t", 2, 0.0)
    fresh = Trigger(Changed("t"), AtMost(1, 60.0))
    fresh.restore(limited.state(10.0), 0.0, 20.0)
    fresh.receive("t", 3, 0.0)
    assert fresh.events() == [Limited("t", 30.0)]


LEAF = st.one_of(
    st.builds(Above, st.sampled_from("ab"), st.floats(-5, 5), st.floats(0, 3)),
    st.builds(Below, st.sampled_from("ab"), st.floats(-5, 5), st.floats(0, 3)),
    st.builds(Equals, st.sampled_from("ab"), st.sampled_from([1, "x", True])),
    st.builds(Changed, st.sampled_from("ab")),
)
TREE = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(For, st.floats(0.1, 100), inner.filter(lambda one: not isinstance(one, Changed))),
        st.builds(AllOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
SAID = st.lists(
    st.tuples(
        st.floats(0, 60), st.sampled_from("ab"), st.sampled_from([None, 1, -4.5, 4.5, "x", True, math.inf])
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(TREE, SAID, st.integers(0, 12))
def test_any_play_ends_and_a_restart_without_a_pause_changes_nothing(
    tree: Condition, said: list[tuple[float, str, Value]], cut: int
) -> None:
    whole, now = Trigger(tree), 0.0
    parts = Trigger(tree)
    for number, (passes, source, value) in enumerate(said):
        if number == cut:
            state = parts.state(now)
            assert codec.decode_json(codec.encode_json(state), TriggerState).was_true == state.was_true
            fresh = Trigger(tree)
            fresh.restore(state, now, 0.0)
            fresh.tick(now)
            assert fresh.events() == []
            parts = fresh
        now += passes
        for trigger in (whole, parts):
            trigger.tick(now)
            trigger.receive(source, value, now)
            assert trigger.deadline() > now
        assert [type(one) for one in whole.events()] == [type(one) for one in parts.events()]
