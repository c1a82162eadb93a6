"""Talks with Titanic, answered by hand."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from wayhouse.bus.model import WORKER_LOST, ClientError, Frames, NoReplyError, refusal
from wayhouse.bus.titanic_book import Note
from wayhouse.bus.titanic_talk import PAGE, Pause, Question, Step, Talks

UUID = b"\1" * 16
NAME = UUID.hex().encode()


def hold(
    talk: Generator[Step, Frames | None, Any], *answers: Frames | None
) -> tuple[Any, list[Question | Pause]]:
    """The talk's result, and what it said; pauses need no answer."""
    left, said = list(answers), list[Question | Pause]()
    answer: Frames | None = None
    try:
        while True:
            said.append(talk.send(answer))
            answer = left.pop(0) if isinstance(said[-1], Question) else None
    except StopIteration as end:
        assert not left
        return end.value, said


def request(talks: Talks, **marks: Any) -> Generator[Step, Frames | None, bytes]:
    given: dict[str, Any] = {"uuid": None, "ttl_s": None, "once": False, **marks}
    return talks.request("host", "echo", "x", **given)


def test_a_request_is_handed_in_again_when_titanic_is_lost() -> None:
    lost = refusal(b"500", WORKER_LOST, "it died")
    uuid, said = hold(
        request(Talks(900, 7.5, 3), uuid=NAME.decode(), once=True), [b"200"], lost, [b"200", NAME]
    )
    assert uuid == UUID
    order = Question(b"titanic.request", [b"host.echo\0once\0uuid=" + NAME, b"x"])
    assert said == [Question(b"mmi.service", [b"titanic.status"]), order, Pause(0.25), order]
    with pytest.raises(NoReplyError, match="lost"):
        hold(request(Talks(900, 7.5, 2)), [b"200"], lost, lost)


def test_a_titanic_of_others_is_asked_without_marks() -> None:
    talks = Talks(900, 7.5, 3)
    uuid, said = hold(request(talks), [b"404"], [b"200"], [b"404"], [b"200"], [b"200 OK", NAME])
    assert (uuid, said[-1]) == (UUID, Question(b"titanic.request", [b"host.echo", b"x"]))
    for marks in ({"once": True}, {"ttl_s": 1.0}, {"uuid": "ab" * 16}):
        with pytest.raises(ClientError, match="Wayhouse"):
            hold(request(talks, **marks))


def test_one_that_is_just_starting_is_waited_for() -> None:
    uuid, said = hold(
        request(Talks(900, 7.5, 3)), [b"404"], [b"404"], [b"404"], [b"200"], [b"200"], [b"200", NAME]
    )
    assert uuid == UUID
    assert said.count(Pause(0.25)) == 2
    with pytest.raises(NoReplyError, match="not on the bus"):
        hold(request(Talks(900, 0.5, 1)), *[[b"404"]] * 4)


def test_a_broker_that_is_silent_is_told() -> None:
    with pytest.raises(NoReplyError, match="broker"):
        hold(request(Talks(900, 7.5, 3)), None)
    with pytest.raises(NoReplyError, match="Titanic"):
        hold(request(Talks(900, 7.5, 3)), [b"200"], None)


def noted(*uuids: bytes) -> tuple[Talks, list[Frames]]:
    talks, told = Talks(900, 7.5, 3), list[Frames]()
    for uuid in uuids:
        talks.book.add(Note(uuid, 0.0, lambda reply, *_: told.append(reply), (), {}))
    return talks, told


def test_replies_are_fetched_told_and_closed() -> None:
    other = b"\2" * 16
    talks, told = noted(UUID, other)
    _, said = hold(talks.check(1.0), [b"200"], [b"200", b"200", b"300"], [b"200", b"reply"], [b"200"])
    assert told == [[b"reply"]]
    assert said[-1] == Question(b"titanic.close", [NAME])
    assert talks.book.pending() == [other]


def test_a_titanic_that_is_lost_meanwhile_says_nothing_of_a_request() -> None:
    talks, told = noted(UUID)
    lost = refusal(b"500", WORKER_LOST, "it died")
    hold(talks.check(1.0), [b"200"], [b"200", b"200"], lost)
    hold(talks.check(1.0), [b"200", b"200"], None)
    hold(talks.check(1.0), lost)
    hold(talks.check(1.0), None)
    assert talks.book.pending() == [UUID]
    hold(talks.check(1.0), [b"200", b"200"], [b"200", b"reply"], None)
    assert told == [[b"reply"]]


def test_many_are_asked_for_in_pages() -> None:
    talks, _ = noted(*(number.to_bytes(16, "big") for number in range(PAGE + 1)))
    _, said = hold(talks.check(1.0), [b"200"], [b"200"] + [b"300"] * PAGE, [b"200", b"300"])
    assert [len(one.body) for one in said if isinstance(one, Question)] == [1, PAGE, 1]
    assert hold(Talks(900, 7.5, 3).check(1.0)) == (None, [])
