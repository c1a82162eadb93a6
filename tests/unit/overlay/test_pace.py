from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from wayhouse.overlay.pace import LONGEST_S, Agenda, Bucket, back_off, share

ONE, OTHER = "a" * 40, "b" * 40


@given(st.lists(st.floats(0, 30), max_size=200))
def test_no_minute_has_more_than_the_bucket_allows(pauses: list[float]) -> None:
    bucket = Bucket(2.0, 10)
    now, taken = 0.0, []
    for pause in pauses:
        now += pause
        taken += [now] * sum(bucket.take(now) for _ in range(40))
    assert all(sum(start <= one < start + 60 for one in taken) <= 10 + 2 * 60 + 1 for start in taken)


def test_ready_is_when_there_is_a_token() -> None:
    bucket = Bucket(2.0, 1)
    assert bucket.take(5.0)
    assert not bucket.take(5.1)
    assert bucket.ready() > 5.4
    assert bucket.take(bucket.ready())


def test_a_clock_that_stands_still_makes_no_tokens() -> None:
    bucket = Bucket(2.0, 1)
    assert [bucket.take(5.0), bucket.take(5.0), bucket.take(4.0)] == [True, False, False]


@given(st.integers(-3, 10_000))
def test_the_back_off_has_bounds(attempts: int) -> None:
    assert 0.75 * 8 <= back_off(ONE, OTHER, attempts, first_s=8) <= 1.25 * LONGEST_S


def test_the_back_off_doubles_and_differs_by_pair() -> None:
    assert back_off(ONE, OTHER, 4, first_s=8) > back_off(ONE, OTHER, 2, first_s=8)
    assert len({share(ONE, f"{number:040x}", 1) for number in range(50)}) == 50


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), st.integers(0, 50))), max_size=60))
def test_everybody_is_due_once_in_order(steps: list[tuple[str, int | None]]) -> None:
    agenda, expected = Agenda(), {}
    for uid, due in steps:
        if due is None:
            agenda.drop(uid)
            expected.pop(uid, None)
        else:
            agenda.put(uid, due)
            expected[uid] = due
    assert agenda.next() == min(expected.values(), default=math.inf)
    found = list(agenda.take_due(25))
    assert sorted(found) == sorted(uid for uid, due in expected.items() if due <= 25)
    assert [expected[uid] for uid in found] == sorted(expected[uid] for uid in found)
    assert len(agenda) == len(expected) - len(found)


def test_hasten_only_hastens_and_what_was_overruled_is_forgotten() -> None:
    agenda = Agenda()
    for due in range(1000, 0, -1):
        agenda.hasten("a", due)
    agenda.hasten("a", 5000)
    assert agenda.next() == 1
    for due in range(1000):
        agenda.put("a", due)
    assert len(agenda._heap) < 200
