"""The dispatch of durable requests, in virtual time and without a socket."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.bus.model import EXPIRED, QUEUE_FULL, WORKER_LOST, refusal, refusal_of
from wayhouse.bus.titanic import (
    TOO_LATE,
    UNKNOWN_OUTCOME,
    Answered,
    Ask,
    Dispatcher,
    Drop,
    Failed,
    Send,
    Unsent,
)
from wayhouse.bus.titanic_model import TitanicSettings, Waiting

LATE = 1e9


def make(*, knows_refusals: bool = True, **changes: Any) -> Dispatcher:
    dispatcher = Dispatcher(TitanicSettings(**changes))
    dispatcher.go_on(knows_refusals=knows_refusals)
    return dispatcher


def waiting(seq: int, service: bytes = b"echo", *, once: bool = False, expires: float = LATE) -> Waiting:
    return Waiting(seq, service, once, expires)


def turn(dispatcher: Dispatcher, now: float, *, there: bool = True) -> list[Send]:
    """Tick, answer whether services are there, and tick again; what is to be sent."""
    sends = list[Send]()
    dispatcher.tick(now)
    for _ in range(50):
        out = dispatcher.outbox()
        if not out:
            break
        for action in out:
            if isinstance(action, Ask):
                dispatcher.receive(action.lane, b"mmi.service", [b"200" if there else b"404"], now)
            elif isinstance(action, Send):
                sends.append(action)
        dispatcher.tick(now)
    return sends


def test_it_asks_for_the_service_then_sends_then_has_the_answer() -> None:
    dispatcher = make()
    dispatcher.add(waiting(1))
    dispatcher.tick(0.0)
    (ask,) = dispatcher.outbox()
    assert ask == Ask(ask.lane, b"echo")
    dispatcher.receive(ask.lane, b"mmi.service", [b"200"], 0.0)
    dispatcher.tick(0.0)
    (send,) = dispatcher.outbox()
    assert isinstance(send, Send)
    assert (send.seq, send.service) == (1, b"echo")
    dispatcher.receive(send.lane, b"echo", [b"done"], 0.1)
    assert dispatcher.events() == [Answered(1, [b"done"])]
    assert len(dispatcher) == dispatcher.flying == 0


def test_nothing_goes_out_before_it_is_known_what_the_broker_can_do() -> None:
    dispatcher = Dispatcher()
    dispatcher.add(waiting(1))
    dispatcher.tick(0.0)
    assert dispatcher.outbox() == []
    dispatcher.go_on(knows_refusals=False)
    assert [send.seq for send in turn(dispatcher, 0.0)] == [1]


def test_a_service_that_is_not_there_is_asked_for_less_and_less_often_but_every_second() -> None:
    dispatcher = make()
    dispatcher.add(waiting(1))
    asked, now = 0, 0.0
    while now < 20.0:
        dispatcher.tick(now)
        for action in dispatcher.outbox():
            assert isinstance(action, Ask)
            asked += 1
            dispatcher.receive(action.lane, b"mmi.service", [b"404"], now)
        now += 0.01
    assert 20 <= asked <= 26
    assert [send.seq for send in turn(dispatcher, now + 1)] == [1]


def test_requests_of_a_service_start_in_order_and_so_many_at_a_time() -> None:
    dispatcher = make(lanes_per_service=3)
    for seq in range(10):
        dispatcher.add(waiting(seq))
    sends = turn(dispatcher, 0.0)
    assert [send.seq for send in sends] == [0, 1, 2]
    assert len({send.lane for send in sends}) == 3
    dispatcher.receive(sends[1].lane, b"echo", [b"x"], 0.1)
    assert [send.seq for send in turn(dispatcher, 0.1)] == [3]


def test_a_silent_service_does_not_hold_up_another() -> None:
    dispatcher = make(lanes=4, lanes_per_service=3)
    for seq in range(10):
        dispatcher.add(waiting(seq, b"silent"))
    assert len(turn(dispatcher, 0.0)) == 3
    dispatcher.add(waiting(99, b"quick"))
    assert [send.seq for send in turn(dispatcher, 0.1)] == [99]


def test_without_an_answer_it_is_sent_again_on_a_new_connection_after_a_growing_time() -> None:
    dispatcher = make(knows_refusals=False, patience_s=10.0)
    dispatcher.add(waiting(1))
    sent_at, now = list[float](), 0.0
    while now < 200.0:
        sent_at += [now for _ in turn(dispatcher, now)]
        now += 0.5
    gaps = [after - before for before, after in itertools.pairwise(sent_at)]
    assert len(gaps) >= 3
    assert gaps == sorted(gaps)
    assert 10.0 <= gaps[0] <= 13.0


def test_an_answer_that_comes_late_is_not_taken_for_another() -> None:
    dispatcher = make(knows_refusals=False, patience_s=10.0)
    dispatcher.add(waiting(1))
    (first,) = turn(dispatcher, 0.0)
    dispatcher.tick(11.0)
    assert Drop(first.lane) in dispatcher.outbox()
    dispatcher.receive(first.lane, b"echo", [b"late"], 11.1)
    assert dispatcher.events() == []


def test_once_is_never_sent_twice_without_an_answer() -> None:
    dispatcher = make(knows_refusals=False)
    dispatcher.add(waiting(1, once=True, expires=500.0))
    (send,) = turn(dispatcher, 0.0)
    assert send.once
    assert turn(dispatcher, 499.0) == []
    turn(dispatcher, 501.0)
    assert dispatcher.events() == [Failed(1, UNKNOWN_OUTCOME)]


def test_a_lost_connection_sends_again_but_not_once() -> None:
    dispatcher = make()
    dispatcher.add(waiting(1))
    dispatcher.add(waiting(2, once=True))
    assert len(turn(dispatcher, 0.0)) == 2
    dispatcher.lose_all(1.0)
    assert dispatcher.events() == [Failed(2, UNKNOWN_OUTCOME)]
    assert turn(dispatcher, 5.0) == []
    dispatcher.go_on(knows_refusals=True)
    assert [send.seq for send in turn(dispatcher, 5.0)] == [1]


def test_brokers_that_end_one_after_another_cost_a_request_nothing() -> None:
    dispatcher = make(lanes_per_service=3)
    for seq in range(1, 4):
        dispatcher.add(waiting(seq))
    now = 0.0
    for _ in range(100):
        assert [send.seq for send in turn(dispatcher, now)] == [1, 2, 3]
        now += 0.01
        dispatcher.lose_all(now)
        dispatcher.go_on(knows_refusals=True)
    assert dispatcher.events() == []


@pytest.mark.parametrize("reason", [QUEUE_FULL, EXPIRED])
def test_what_no_worker_got_is_sent_again_even_once(reason: bytes) -> None:
    dispatcher = make()
    dispatcher.add(waiting(1, once=True))
    (send,) = turn(dispatcher, 0.0)
    dispatcher.receive(send.lane, b"echo\0once", refusal(b"500", reason, "no"), 0.1)
    assert dispatcher.events() == [Unsent(1)]
    assert turn(dispatcher, 0.2) == []
    assert [send.seq for send in turn(dispatcher, 5.0)] == [1]


def test_a_lost_worker_is_a_reason_to_try_again_unless_once() -> None:
    dispatcher = make()
    dispatcher.add(waiting(1))
    dispatcher.add(waiting(2, once=True))
    for send in turn(dispatcher, 0.0):
        dispatcher.receive(send.lane, b"echo", refusal(b"500", WORKER_LOST, "it died"), 0.1)
    assert dispatcher.events() == [Failed(2, "worker-lost: it died")]
    assert [send.seq for send in turn(dispatcher, 5.0)] == [1]


def test_refusals_are_plain_answers_where_the_broker_knows_none() -> None:
    dispatcher = make(knows_refusals=False)
    dispatcher.add(waiting(1))
    (send,) = turn(dispatcher, 0.0)
    body = refusal(b"500", WORKER_LOST, "a worker's own words")
    dispatcher.receive(send.lane, b"echo", body, 0.1)
    assert dispatcher.events() == [Answered(1, body)]


def test_it_expires() -> None:
    dispatcher = make()
    dispatcher.add(waiting(1, expires=10.0))
    turn(dispatcher, 0.0, there=False)
    assert (dispatcher.deadline() or 99) <= 10.0
    dispatcher.tick(10.0)
    assert dispatcher.events() == [Failed(1, TOO_LATE)]


def test_what_was_closed_is_not_sent_and_its_lane_not_used() -> None:
    dispatcher = make(lanes_per_service=1)
    dispatcher.add(waiting(1))
    dispatcher.add(waiting(2))
    (send,) = turn(dispatcher, 0.0)
    assert dispatcher.forget(1) == waiting(1)
    assert dispatcher.forget(1) is None
    assert dispatcher.outbox() == [Drop(send.lane)]
    dispatcher.receive(send.lane, b"echo", [b"too late"], 0.1)
    assert dispatcher.events() == []
    assert [send.seq for send in turn(dispatcher, 0.1)] == [2]


def test_forgetting_leaves_nothing_behind() -> None:
    dispatcher = make()
    for seq in range(20_000):
        dispatcher.add(waiting(seq, b"service-%d" % (seq % 7)))
        dispatcher.forget(seq)
    assert len(dispatcher._expiries) < 200
    dispatcher.tick(0.0)
    assert not dispatcher._services
    assert not dispatcher._ready


def test_mmi_services_are_always_there() -> None:
    dispatcher = make()
    dispatcher.add(waiting(1, b"mmi.echo"))
    dispatcher.tick(0.0)
    assert [type(action) for action in dispatcher.outbox()] == [Send]


def test_a_reply_of_another_service_or_an_unused_lane_is_ignored() -> None:
    dispatcher = make()
    dispatcher.add(waiting(1))
    (send,) = turn(dispatcher, 0.0)
    dispatcher.receive(send.lane, b"other", [b"x"], 0.1)
    dispatcher.receive(77, b"echo", [b"x"], 0.1)
    assert dispatcher.events() == []


def test_refusal_of() -> None:
    assert refusal_of(refusal(b"500", QUEUE_FULL, "x")) == QUEUE_FULL
    assert refusal_of([b"500", b"own words", b"500"]) is None
    assert refusal_of([b"500"]) is None


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "once", "forget", "answer", "refuse", "lose", "pass", "put_back"]),
        st.integers(0, 7),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(OPERATIONS)
def test_whatever_happens_each_ends_once_and_once_is_sent_once(operations: list[tuple[str, int]]) -> None:
    dispatcher = make(lanes=6, lanes_per_service=3)
    now, seq = 0.0, 0
    added, forgotten = dict[int, bool](), set[int]()
    ended, sent = Counter[int](), Counter[int]()
    flying = dict[int, Send]()

    def collect() -> None:
        for event in dispatcher.events():
            if isinstance(event, Unsent):
                sent[event.seq] = 0
            else:
                ended[event.seq] += 1

    def look(*, there: bool = True) -> None:
        dispatcher.tick(now)
        for action in dispatcher.outbox():
            if isinstance(action, Drop):
                flying.pop(action.lane, None)
            elif isinstance(action, Ask):
                dispatcher.receive(action.lane, b"mmi.service", [b"200" if there else b"404"], now)
            else:
                assert action.lane not in flying
                flying[action.lane] = action
                sent[action.seq] += 1
        collect()

    for name, number in operations:
        if name in {"add", "once"}:
            added[seq] = name == "once"
            dispatcher.add(waiting(seq, b"s%d" % (number % 3), once=name == "once", expires=now + 100))
            seq += 1
        elif name == "forget" and number in added:
            dispatcher.forget(number)
            forgotten.add(number)
        elif name in {"answer", "refuse", "put_back"} and flying:
            lane, send = flying.popitem()
            body = (
                [b"x"] if name == "answer" else refusal(b"500", (QUEUE_FULL, WORKER_LOST)[number % 2], "no")
            )
            if name == "put_back":
                dispatcher.put_back(send, now)
            else:
                dispatcher.receive(lane, send.service, body, now)
        elif name == "lose":
            dispatcher.lose_all(now)
            flying.clear()
            dispatcher.go_on(knows_refusals=True)
        elif name == "pass":
            now += 2.0**number
        collect()
        look(there=number != 1)
        assert dispatcher.flying <= 6
        assert all(not once or sent[one] <= 1 for one, once in added.items())
    for _ in range(3):
        now += 2000.0
        look()
    assert len(dispatcher) == 0
    assert all(ended[one] == 1 for one in added if one not in forgotten)
    assert all(ended[one] <= 1 for one in added)
    assert dispatcher.flying == 0
    now += 2000.0
    look()
    assert not dispatcher._services
