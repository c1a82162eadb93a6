"""The short ways do what the general ones do: the same calls, in any pieces and mixture, give the same bytes and results."""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.runtime.control import Attachment, Control
from wayhouse.runtime.rpc import handshake
from wayhouse.runtime.rpc.conversation import Conversation
from wayhouse.runtime.rpc.pipelines import Pending
from wayhouse.runtime.rpc.serving import Serving
from wayhouse.runtime.rpc.wire import Answer, ClientWire, ServerWire
from wayhouse.runtime.supervision import usual


class Owner(Control):
    """Methods of all kinds."""

    @Control.rpc
    def add(self, a: int, b: int) -> int:
        return a + b

    @Control.rpc
    def echo(self, value: Any) -> Any:
        return value

    @Control.rpc
    def attach(self, size: int) -> Attachment:
        return Attachment(bytes(size))

    @Control.rpc
    def fail(self, text: str) -> None:
        raise ValueError(text)

    @Control.rpc
    def hang_up(self) -> str:
        conversation = self.conversation
        conversation.closing = True
        return "bye"

    @Control.rpc
    @Control.auth
    def guarded(self) -> str:
        return "in"


class Idle:
    """An engine for calls that run at once."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def served() -> tuple[ClientWire, Conversation]:
    """A client's machine and a served conversation, past the handshake of wire v1."""
    owner = Owner(1, "key")
    client = ClientWire("key", nonce=os.urandom(16), wire=1)
    server = ServerWire(owner.service.accepted_keys, salt=handshake.make_salt())
    conversation = Conversation(owner.service, Idle(), server, Serving())
    owner.conversation = conversation
    server.begin()
    client.receive(flush(server))
    server.feed(flush(client))
    conversation.work()
    client.receive(flush(server))
    return client, conversation


def flush(wire: Any) -> bytes:
    data = wire.outbox.content()
    wire.outbox.sent(len(data))
    return data


PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
CALLS = st.one_of(
    st.tuples(st.just("add"), st.tuples(st.integers(-9, 9), st.integers(-9, 9))),
    st.tuples(st.just("echo"), st.tuples(PLAIN)),
    st.tuples(st.just("echo"), st.tuples(st.lists(PLAIN, max_size=2) | st.just("\ud800"))),
    st.tuples(st.just("attach"), st.tuples(st.sampled_from([0, 1, 5000, 40_000]))),
    st.tuples(st.sampled_from(["fail", "missing", "add"]), st.tuples(st.just("x"))),
    st.tuples(st.just("guarded"), st.just(())),
)


def answers(client: ClientWire, data: bytes) -> list[tuple[int, str]]:
    found = []
    for event in client.receive(data):
        assert isinstance(event, Answer)
        value = event.exception if event.result is usual.UNSET else event.result
        if isinstance(value, dict):
            value = value["type"], value["message"]
        found.append((event.id, repr(bytes(value) if isinstance(value, memoryview) else value)))
    return found


@given(calls=st.lists(CALLS, max_size=12), cuts=st.lists(st.integers(0, 2000), max_size=4))
@settings(max_examples=100, deadline=None)
def test_served_in_any_pieces_and_by_either_way_the_answers_are_the_same(
    calls: list[tuple[str, tuple[Any, ...]]], cuts: list[int]
) -> None:
    found = []
    for short in (True, False):
        client, conversation = served()
        for name, arguments in calls:
            client.call(name, arguments)
        data = flush(client)
        with pytest.MonkeyPatch.context() as patch:
            if not short:
                patch.setattr(usual, "serve", lambda _, begun: begun)
            edges = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
            for start, end in itertools.pairwise(edges):
                conversation.wire.feed(data[start:end])
                conversation.work()
        found.append(answers(client, flush(conversation.wire)))
    assert found[0] == found[1]
    assert [number for number, _ in found[0]] == list(range(1, len(calls) + 1))


def test_after_a_method_has_ended_its_connection_no_further_call_is_served() -> None:
    client, conversation = served()
    for name in ("hang_up", "add"):
        client.call(name, () if name == "hang_up" else (1, 2))
    conversation.wire.feed(flush(client))
    conversation.work()
    assert answers(client, flush(conversation.wire)) == [(1, "'bye'")]
    assert conversation.service.table["add"].stat.count == 0


def test_calls_without_a_number_and_silent_ones_are_served_too() -> None:
    client, conversation = served()
    client.call("add", (1, 2), silent=True)
    body = b'{"method":"add","params":{"vargs":[3,4],"kwargs":{}}}'
    conversation.wire.feed(flush(client) + len(body).to_bytes(4) + body)
    conversation.work()
    assert flush(conversation.wire)[4:] == b'{"result":7}'
    assert conversation.service.table["add"].stat.count == 2


def test_a_deadline_travels_and_does_not_stay() -> None:
    client, conversation = served()
    client.call("add", (1, 2), ms=60_000)
    conversation.wire.feed(flush(client))
    conversation.work()
    assert conversation.serving.deadline > 0
    client.call("add", (1, 2))
    conversation.wire.feed(flush(client))
    conversation.work()
    assert conversation.serving.deadline == 0


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4) + body


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0",
        frame(b'{"result":3,"id":8}'),
        frame(b'{"result":3,"id":7}') + b"\0",
        frame(b'{"result":3,"id":7}')[:-1],
        frame(b'{"exception":"no","id":7}'),
        frame(b'{"result":3,"id":7,"fds":[null]}'),
        frame(b"nonsense"),
    ],
)
def test_only_the_whole_plain_answer_takes_the_short_way(data: bytes) -> None:
    client, _ = served()
    assert usual.answer(client, memoryview(data), len(data), 7) is None


def test_the_plain_answer_takes_the_short_way() -> None:
    client, _ = served()
    data = frame(b'{"result":3,"id":7}')
    found = usual.answer(client, memoryview(data + b"older bytes"), len(data), 7)
    assert found is not None
    assert found.result == 3


def test_answers_are_collected_up_to_the_first_unusual_one() -> None:
    client, _ = served()
    calls = [Pending("add", (1, 2)) for _ in range(4)]
    client.feed(
        frame(b'{"result":"b","id":11}')
        + frame(b'{"result":"a","id":10}')
        + frame(b'{"exception":"c","id":12}')
        + frame(b'{"result":"d","id":13}')
    )
    assert usual.collect(client, calls, 10) == 2
    assert [call.value for call in calls] == ["a", "b", None, None]
    event = client.next()
    assert isinstance(event, Answer)
    assert event.exception == "c"
    assert usual.collect(client, calls, 10) == 1
    assert calls[3].value == "d"


def test_an_answer_that_comes_twice_is_not_collected() -> None:
    client, _ = served()
    calls = [Pending("add", (1, 2))]
    client.feed(frame(b'{"result":1,"id":5}') + frame(b'{"result":2,"id":5}'))
    assert usual.collect(client, calls, 5) == 1
    assert calls[0].value == 1


def test_calls_are_queued_up_to_the_first_unusual_one() -> None:
    client, _ = served()
    calls = [
        Pending("add", (1, 2)),
        Pending("add", (1,), {"b": 2}),
        Pending("echo", ([1],)),
        Pending("echo", ("\ud800",)),
    ]
    assert usual.queue(client, calls, 0, 4, 0) == 1
    assert flush(client) == frame(b'{"method":"add","params":{"vargs":[1,2],"kwargs":{}},"id":1}')
    assert [usual.queue(client, calls, start, 4, 0) for start in (1, 2, 3)] == [1, 2, 3]
    assert flush(client) == b""


def test_no_more_is_queued_than_makes_sense() -> None:
    client, _ = served()
    calls = [Pending("echo", ("x" * 100_000,))] * 10
    assert usual.queue(client, calls, 0, 10, 0) == 3
