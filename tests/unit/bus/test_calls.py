"""A client's calls as a machine: matching of answers, attempts, deadlines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import TooManyRequestsError
from wayhouse.bus import mdp
from wayhouse.bus.calls import Answered, Calls, Unanswered
from wayhouse.bus.commands import Open, Send
from wayhouse.bus.model import EXPIRED, NOT_FOUND, MalformedError, refusal


def sent(calls: Calls) -> list[list[bytes]]:
    return [one.frames for one in calls.outbox() if isinstance(one, Send)]


def answer(request: list[bytes], *body: bytes, final: bool = True) -> list[bytes]:
    found = mdp.parse_at_broker([b"id", *request])
    assert isinstance(found, mdp.ClientRequest)
    return mdp.build_reply(found.version, found.label, body, final=final)


@pytest.mark.parametrize("version", [mdp.V01, mdp.V02])
def test_a_call_to_any_broker(version: int) -> None:
    calls = Calls(marks=False, version=version)
    number = calls.start(b"echo", [b"hi"], 0.0)
    assert calls.outbox() == [Open(), Send(mdp.build_request(b"echo", [b"hi"], version))]
    calls.receive(mdp.build_reply(version, b"echo", [b"hi", b"200"]), 0.1)
    assert calls.events() == [Answered(number, [b"hi", b"200"], True)]
    assert len(calls) == 0
    assert calls.deadline() is None


def test_silence_means_a_new_connection_for_each_attempt_and_then_the_end() -> None:
    calls = Calls(marks=False)
    number = calls.start(b"echo", [b"hi"], 0.0, attempt_s=2.5, attempts=3)
    calls.outbox()
    for moment in (2.5, 5.0):
        assert calls.deadline() == moment
        calls.tick(moment)
        assert calls.outbox() == [Open(), Send(mdp.build_request(b"echo", [b"hi"]))]
        assert calls.events() == []
    calls.tick(7.5)
    assert calls.events() == [Unanswered(number)]
    assert calls.outbox() == [Open()]


def test_with_other_brokers_one_call_per_service_is_under_way() -> None:
    calls = Calls(marks=False)
    first = calls.start(b"echo", [b"1"], 0.0)
    second = calls.start(b"echo", [b"2"], 0.0)
    other = calls.start(b"other", [b"3"], 0.0)
    requests = sent(calls)
    assert [one[-1] for one in requests] == [b"1", b"3"]
    calls.receive(answer(requests[0], b"r1"), 0.1)
    (request,) = sent(calls)
    assert request[-1] == b"2"
    calls.receive(answer(requests[1], b"r3"), 0.1)
    calls.receive(answer(request, b"r2"), 0.1)
    assert calls.events() == [
        Answered(first, [b"r1"], True), Answered(other, [b"r3"], True), Answered(second, [b"r2"], True),
    ]  # fmt: skip


def test_with_our_broker_answers_may_overtake_each_other() -> None:
    calls = Calls()
    numbers = [calls.start(b"echo", [b"%d" % one], 0.0) for one in range(50)]
    requests = sent(calls)
    assert len({one[2] for one in requests}) == 50
    assert all(mdp.parse_request_marks(one[2]).ttl_s == pytest.approx(2.5, abs=0.001) for one in requests)
    for request in reversed(requests):
        calls.receive(answer(request, request[-1]), 0.1)
    assert calls.events() == [Answered(one, [b"%d" % (one - 1)], True) for one in reversed(numbers)]


def test_an_answer_to_any_attempt_will_do_and_only_the_first_counts() -> None:
    calls = Calls()
    busy = calls.start(b"busy", [b"x"], 0.0, deadline=100.0, attempts=40)
    calls.start(b"slow", [b"x"], 0.0, deadline=100.0, attempts=3)
    first = sent(calls)
    calls.receive(answer(first[0], b"", final=True), 2.0)
    calls.tick(2.5)
    (again,) = calls.outbox()
    assert isinstance(again, Send)
    calls.receive(answer(first[1], b"late but good"), 3.0)
    calls.receive(answer(again.frames, b"second"), 3.1)
    assert [one.call for one in calls.events()] == [busy, busy + 1]
    assert calls.ignored == 1


def test_a_broker_that_is_silent_is_asked_on_a_new_connection() -> None:
    calls = Calls()
    calls.start(b"a", [b"1"], 0.0, deadline=10.0)
    calls.start(b"b", [b"2"], 1.0, deadline=10.0, once=True)
    calls.outbox()
    calls.tick(2.5)
    commands = calls.outbox()
    assert commands[0] == Open()
    assert [one.frames[-1] for one in commands[1:] if isinstance(one, Send)] == [b"1"]


def test_once_is_once() -> None:
    calls = Calls()
    number = calls.start(b"a", [b"1"], 0.0, deadline=10.0, once=True)
    (request,) = sent(calls)
    assert mdp.parse_request_marks(request[2]).once
    for moment in (2.5, 5.0, 7.5):
        calls.tick(moment)
    assert sent(calls) == []
    calls.tick(10.0)
    assert calls.events() == [Unanswered(number)]


def test_that_no_worker_was_free_is_no_answer_while_attempts_are_left() -> None:
    calls = Calls()
    number = calls.start(b"a", [b"1"], 0.0, attempts=2)
    (request,) = sent(calls)
    expired = refusal(NOT_FOUND, EXPIRED, "no worker in time")
    calls.receive(answer(request, *expired), 2.4)
    assert calls.events() == []
    calls.tick(2.5)
    (request,) = sent(calls)
    calls.receive(answer(request, *expired), 4.9)
    assert calls.events() == [Answered(number, expired, True)]


def test_parts_come_as_they_come() -> None:
    calls = Calls(version=mdp.V02)
    number = calls.start(b"a", [b"1"], 0.0)
    (request,) = sent(calls)
    calls.receive(answer(request, b"p1", final=False), 2.0)
    calls.tick(2.5)
    assert sent(calls) == []
    calls.receive(answer(request, b"p2"), 3.0)
    assert calls.events() == [Answered(number, [b"p1"], False), Answered(number, [b"p2"], True)]


def test_a_call_that_is_cancelled_leaves_nothing() -> None:
    ours, other = Calls(), Calls(marks=False)
    for calls in (ours, other):
        calls.start(b"a", [b"1"], 0.0)
        calls.start(b"a", [b"2"], 0.0)
        request = sent(calls)[0]
        calls.cancel(1, 0.1)
        calls.cancel(1, 0.1)
        calls.receive(answer(request, b"late"), 0.2)
    assert ours.events() == []
    assert ours.outbox() == []
    assert [type(one) for one in other.outbox()] == [Open, Send]


def test_calls_are_bounded_and_names_checked() -> None:
    calls = Calls(max_calls=1)
    calls.start(b"a", [], 0.0)
    with pytest.raises(TooManyRequestsError):
        calls.start(b"a", [], 0.0)
    with pytest.raises(MalformedError):
        Calls().start(b"", [], 0.0)


@given(
    st.booleans(),
    st.lists(
        st.tuples(st.just("start"), st.sampled_from([b"a", b"b"]), st.booleans())
        | st.tuples(st.just("cancel"), st.integers(1, 6))
        | st.tuples(st.just("pass"), st.sampled_from([0.1, 1.0, 3.0]))
        | st.tuples(st.just("answer"), st.integers(0, 10))
        | st.tuples(st.just("junk"), st.lists(st.binary(max_size=8), max_size=4)),
        max_size=40,
    ),
)
def test_each_call_ends_once_with_its_own_answer(marks: bool, steps: list[tuple]) -> None:  # type: ignore[type-arg]
    calls, now, ended, cancelled, asked = Calls(marks=marks), 0.0, set(), set(), {}
    on_wire: list[list[bytes]] = []

    def look() -> None:
        for one in calls.outbox():
            if isinstance(one, Open):
                on_wire.clear()
            else:
                on_wire.append(one.frames)
        for event in calls.events():
            assert event.call not in ended | cancelled
            ended.add(event.call)
            if isinstance(event, Answered):
                assert event.body == asked[event.call]

    for step in steps:
        if step[0] == "start":
            body = [b"%d" % len(asked)]
            asked[calls.start(step[1], body, now, once=step[2])] = body
        elif step[0] == "cancel":
            if step[1] not in ended and step[1] in asked:
                cancelled.add(step[1])
            calls.cancel(step[1], now)
        elif step[0] == "pass":
            now += step[1]
            calls.tick(now)
        elif step[0] == "answer" and on_wire:
            request = on_wire[step[1] % len(on_wire)]
            if marks or request == on_wire[step[1] % len(on_wire)]:
                calls.receive(answer(request, request[-1]), now)
                if not marks:
                    on_wire.remove(request)
        elif step[0] == "junk":
            calls.receive(step[1], now)
        look()
    for _ in range(200):
        now += 1.0
        calls.tick(now)
        look()
    assert ended | cancelled == set(asked)
    assert len(calls) == 0
    assert not calls._by_label
