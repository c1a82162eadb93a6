# covers: runtime/rpc/messages.py, runtime/rpc/outbox.py, runtime/rpc/parts.py, runtime/rpc/wire_end.py, runtime/rpc/server_wire.py, runtime/rpc/client_wire.py
"""The machines by themselves: no sockets, no threads."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import os
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.ave_v0 import CHALLENGE, call, frame
from wayhouse.runtime.rpc import handshake
from wayhouse.runtime.rpc.frames import LIMIT
from wayhouse.runtime.rpc.messages import Call, Cancel, Credit, Params
from wayhouse.runtime.rpc.parts import Attachment, Descriptor
from wayhouse.runtime.rpc.wire import (
    Answer,
    Broken,
    ClientWire,
    End,
    Goodbye,
    Item,
    Lost,
    Opened,
    Ready,
    ServerWire,
)

KEYS = ["primary", "secondary"]
FAST = settings(max_examples=150, deadline=None)


def old_server(salt: bytes = bytes(20), **more: Any) -> ServerWire:
    return ServerWire(lambda: KEYS, salt=salt, **more)


def digest(key: str, salt: bytes) -> bytes:
    return frame(hmac.new(key.encode(), salt, hashlib.md5).digest())


def opened(key: str = "primary") -> ServerWire:
    """A server past a v0 handshake, its outbox empty."""
    wire = old_server()
    wire.begin()
    wire.receive(digest(key, bytes(20)))
    wire.outbox.out.clear()
    return wire


def pair(key: str = "primary", **more: Any) -> tuple[ServerWire, ClientWire]:
    """Both ends past a v1 handshake."""
    server = ServerWire(lambda: KEYS, salt=handshake.make_salt(), unix=True)
    client = ClientWire(key, nonce=os.urandom(16), **more)
    server.begin()
    client.receive(taken(server))
    server.receive(taken(client))
    assert isinstance(client.receive(taken(server))[0], Ready)
    return server, client


def taken(wire: ServerWire | ClientWire) -> bytes:
    data = wire.outbox.content()
    wire.outbox.sent(len(data))
    return data


def answers(wire: ServerWire) -> list[Any]:
    data, found = taken(wire), []
    while data:
        size = struct.unpack(">I", data[:4])[0]
        found.append(json.loads(data[4 : 4 + size]))
        data = data[4 + size :]
    return found


def test_the_old_handshake_byte_for_byte() -> None:
    wire = old_server(b"s" * 20)
    wire.begin()
    assert taken(wire) == b"\x00\x00\x00\x1f#CHALLENGE#" + b"s" * 20
    assert wire.receive(digest("secondary", b"s" * 20)) == [Opened("secondary", "", 0)]
    assert taken(wire) == frame(b'{"authenticated":true}')


@pytest.mark.parametrize(
    "answer", [b"", b"x", b"x" * 16, b"#WAYHOUSE#", b'#WAYHOUSE#{"wire":1}', b"\xff" * 3000]
)
def test_a_wrong_answer_to_the_challenge_stays_connected(answer: bytes) -> None:
    wire = old_server(handshake.make_salt())
    assert wire.receive(frame(answer)) == [Opened(None, "", 0)]
    assert answers(wire) == [{"authenticated": False}]


def test_no_keys_authenticate_nobody() -> None:
    wire = ServerWire(list, salt=bytes(20))
    assert wire.receive(digest("", bytes(20))) == [Opened(None, "", 0)]


def test_the_empty_key_is_a_key() -> None:
    wire = ServerWire(lambda: [""], salt=bytes(20))
    assert wire.receive(digest("", bytes(20))) == [Opened("", "", 0)]


def test_a_call_on_the_old_wire() -> None:
    wire = opened()
    (event,) = wire.receive(frame(json.dumps(call("add", 1, 2, resource={"a": 1})).encode()))
    assert event == Call("add", Params([1, 2], {}), {"a": 1})
    wire.result(0, 3)
    assert taken(wire) == frame(b'{"result":3}')


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "malformed JSON: "),
        (b"{nonsense", "malformed JSON: {nonsense"),
        (b"\xff\xfe", "malformed JSON: \ufffd\ufffd"),
        (b"[" * 100_000, "malformed JSON: " + "[" * 16_384 + "..."),
        (b"[]", 'the "method" attribute is missing'),
        (b"7", 'the "method" attribute is missing'),
        (b'{"params": {}}', 'the "method" attribute is missing'),
        (b'{"method": 3, "params": {}}', 'the "method" attribute is missing'),
        (b'{"method": "m"}', 'the "params" attribute is missing'),
        (
            b'{"method": "m", "params": {}, "async": 1}',
            "RPC async flag is not a boolean: {'method': 'm', 'params': {}, 'async': 1}",
        ),
    ],
)
def test_what_is_not_understood_is_answered_with_text(raw: bytes, text: str) -> None:
    wire = opened()
    assert wire.receive(frame(raw)) == []
    assert answers(wire) == [{"exception": text}]
    assert isinstance(wire.receive(frame(json.dumps(call("m")).encode()))[0], Call), "the connection lives on"


@pytest.mark.parametrize("raw", [b'{"async": true}', b'{"method": "m", "async": true}'])
def test_silent_calls_get_no_validation_error(raw: bytes) -> None:
    wire = opened()
    assert wire.receive(frame(raw)) == []
    assert taken(wire) == b""


@pytest.mark.parametrize("params", [3, None, [], {}, {"vargs": []}, {"vargs": 1, "kwargs": {}}])
def test_malformed_params_come_out_for_the_last_check(params: Any) -> None:
    (event,) = opened().receive(frame(json.dumps({"method": "m", "params": params}).encode()))
    assert isinstance(event, Call)
    assert event.params is None
    assert event.bad_params == str(params)


def test_nan_and_unknown_members_are_let_in() -> None:
    (event,) = opened().receive(frame(b'{"method":"m","params":{"vargs":[NaN],"kwargs":{}},"more":1}'))
    assert isinstance(event, Call)
    assert event.params is not None
    assert event.params.vargs[0] != event.params.vargs[0]


@pytest.mark.parametrize("size", [LIMIT + 1, 2**31, 2**32 - 1])
def test_oversize_is_told_and_ends_the_connection(size: int) -> None:
    wire = opened()
    events = wire.receive(struct.pack(">I", size) + b"more")
    assert [type(event) for event in events] == [Broken]
    (answer,) = answers(wire)
    assert answer["exception"]["type"] == "OverflowError"
    assert answer["exception"]["message"].startswith("got invalid RPC from client, ")
    assert answer["exception"]["message"].endswith(". disconnect")
    assert wire.receive(frame(b"{}")) == []


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ((1, (2,)), [1, [2]]),
        (b"a\xffb", "a\ufffdb"),
        ({b"k": b"v", 1: {True: None}}, {"k": "v", "1": {"true": None}}),
        ("\ud800", "?"),
        (["\ud800", {"\ud800": 1}], ["?", {"?": 1}]),
        (2**80, 2**80),
        ([], []),
        (None, None),
        (0, 0),
    ],
)
def test_results_are_made_fit_for_json(value: Any, seen: Any) -> None:
    wire = opened()
    wire.result(0, value)
    assert answers(wire) == [{"result": seen}]


@pytest.mark.parametrize("value", [object(), {1, 2}, {(1,): 2}, [object()]])
def test_other_results_are_an_internal_error(value: Any) -> None:
    wire = opened()
    wire.result(0, value)
    (answer,) = answers(wire)
    assert answer["exception"]["message"] == "INTERNAL ERROR: OBJECT IS NOT JSON COMPATIBLE"


def test_a_circle_is_an_internal_error_and_leaves_no_half_frame() -> None:
    wire, circle = opened(), []
    circle.append(circle)
    wire.result(0, circle)
    wire.exception(0, {"type": "X", "message": "m", "more": object()})
    wire.result(0, 1)
    found = answers(wire)
    assert len(found) == 3
    assert found[-1] == {"result": 1}


def test_both_find_v1_and_an_old_client_never_sees_it() -> None:
    server, client = pair()
    assert (server.version, client.version, server.key) == (1, 1, "primary")
    server = ServerWire(lambda: KEYS, salt=handshake.make_salt())
    server.begin()
    challenge = taken(server)
    assert len(challenge) == 4 + 31
    salt = challenge[4 + len(CHALLENGE) :]
    assert server.receive(digest("primary", salt)) == [Opened("primary", "", 0)]
    assert taken(server) == frame(b'{"authenticated":true}')


def test_an_old_server_never_sees_v1() -> None:
    client = ClientWire("primary", nonce=bytes(16))
    client.receive(frame(CHALLENGE + b"r" * 20))
    assert taken(client) == digest("primary", b"r" * 20)
    assert client.receive(frame(b'{"authenticated": false}')) == [Ready(authenticated=False, wire=0)]
    assert client.call("m", [1]) == 0
    sent = taken(client)
    assert json.loads(sent[4:]) == {
        "method": "m",
        "resource": None,
        "params": {"vargs": [1], "kwargs": {}},
        "async": False,
    }


def test_a_client_that_demands_v1_leaves_an_old_server() -> None:
    client = ClientWire("primary", wire=1)
    assert isinstance(client.receive(frame(CHALLENGE + b"r" * 20))[0], Lost)


def test_a_server_that_does_not_know_the_key_is_found_out() -> None:
    client = ClientWire("primary", nonce=bytes(16))
    client.receive(frame(CHALLENGE + handshake.make_salt()))
    taken(client)
    verdict = handshake.Verdict(authenticated=True, wire=1, proof="0" * 64)
    assert isinstance(client.receive(frame(handshake.encode(verdict)))[0], Lost)


def test_v1_calls_answers_and_exceptions() -> None:
    server, client = pair()
    assert client.call("add", (1, 2), {"x": None}, ms=500) == 1
    (event,) = server.receive(taken(client))
    assert event == Call("add", Params([1, 2], {"x": None}), id=1, ms=500)
    server.result(1, [3])
    server.exception(2, {"type": "E", "message": "m"})
    assert client.receive(taken(server)) == [
        Answer(1, [3]),
        Answer(2, exception={"type": "E", "message": "m"}),
    ]


def test_v1_cancel_credit_items_and_goodbye() -> None:
    server, client = pair()
    client.cancel(7)
    client.credit(8, 1000)
    assert server.receive(taken(client)) == [Cancel(7), Credit(8, 1000)]
    server.item(8, {"a": (1,)})
    server.end(8)
    server.exception(0, {"type": "Exit", "message": "bye"})
    item, end, goodbye = client.receive(taken(server))
    assert isinstance(item, Item)
    assert item.value == {"a": [1]}
    assert end == End(8)
    assert goodbye == Goodbye({"type": "Exit", "message": "bye"})


def test_attachments_travel_as_they_are_both_ways() -> None:
    server, client = pair()
    big = os.urandom(70_000)
    client.call("put", [1, Attachment(big)], {"small": Attachment(bytearray(b"abc")), "n": 2})
    (event,) = server.receive(taken(client))
    assert isinstance(event, Call)
    assert event.params is not None
    assert bytes(event.params.vargs[1]) == big
    assert (bytes(event.params.kwargs["small"]), event.params.kwargs["n"]) == (b"abc", 2)
    server.result(1, Attachment(big))
    server.result(2, [1, Attachment(b"x")])
    server.item(3, {"name": "n", "data": Attachment(b"y")})
    one, two, three = client.receive(taken(server))
    assert isinstance(one, Answer)
    assert bytes(one.result) == big
    assert isinstance(two, Answer)
    assert bytes(two.result[1]) == b"x"
    assert isinstance(three, Item)
    assert bytes(three.value["data"]) == b"y"


def test_attachments_become_text_for_old_clients() -> None:
    with pytest.raises(TypeError, match="old wire"):
        ClientWire("k").call("m", [Attachment(b"")])
    wire = opened()
    wire.result(0, b"text")
    assert answers(wire) == [{"result": "text"}]


@pytest.mark.parametrize(
    "head",
    [
        {"parts": [[0, 3]]},
        {"parts": [[5, 4]]},
        {"parts": [["x", 4]]},
        {"parts": [[None, 4]]},
        {"parts": [[-1, 4]]},
        {"parts": [[0, 2], [0, 2]]},
        {"parts": [[0, -4], [0, 8]]},
        {"parts": "no"},
        {"fds": [0]},
    ],
)
def test_attachments_that_do_not_fit_are_refused(head: dict[str, Any]) -> None:
    server, client = pair()
    message = json.dumps({"method": "m", "params": {"vargs": [None], "kwargs": {}}, "id": 4, **head}).encode()
    body = struct.pack(">I", len(message)) + message + b"abcd"
    events = server.receive(struct.pack(">I", len(body) | 0x80000000) + body)
    if events:  # the refusal is then the dispatcher's
        assert isinstance(events[0], Call)
        assert events[0].params is None
    else:
        (answer,) = client.receive(taken(server))
        assert isinstance(answer, Answer)
        assert isinstance(answer.exception, str)
    client.call("m")
    assert isinstance(server.receive(taken(client))[0], Call)


@pytest.mark.parametrize("body", [b"", b"\0\0\0\xff", b"\0\0\0\0"])
def test_an_attachment_frame_without_a_head(body: bytes) -> None:
    server, _ = pair()
    assert server.receive(struct.pack(">I", len(body) | 0x80000000) + body) == []
    assert len(answers(server)) == 1


def test_descriptors_are_claimed_in_order_and_closed_when_forgotten() -> None:
    server, client = pair(descriptors=True)
    reader, writer = os.pipe()
    client.call("take", [Descriptor(reader)], {"w": Descriptor(writer)})
    ((position, sent),) = client.outbox.marks
    assert (position, len(sent)) == (0, 2)
    moved = [os.dup(fd) for fd in sent]
    data = client.outbox.content()
    client.outbox.sent(len(data))
    (event,) = server.receive(data, moved)
    assert isinstance(event, Call)
    assert event.params is not None
    os.write(event.params.kwargs["w"].fileno(), b"hi")
    assert os.read(event.params.vargs[0].fileno(), 2) == b"hi"
    event.params.vargs[0].close()
    event.params.kwargs["w"].close()
    for fd in (*sent, *moved):
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(fd)
    os.close(reader)
    os.close(writer)


def test_descriptors_nobody_announced_end_the_connection() -> None:
    server, _ = pair(descriptors=True)
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(2)]
    events = server.receive(frame(b"nonsense"), fds)
    assert [type(event) for event in events] == [Broken]
    server.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fds[0])


def test_descriptors_want_a_client_that_is_ready_for_them() -> None:
    server, client = pair()
    with pytest.raises(ValueError, match="descriptors=True"):
        client.call("m", [Descriptor(0)])
    server.result(1, Descriptor(0))
    (answer,) = client.receive(taken(server))
    assert isinstance(answer, Answer)
    assert answer.exception["message"].startswith("INTERNAL ERROR")


def conversation_bytes() -> bytes:
    """Everything that an old client may say, one after the other."""
    said = [
        json.dumps(call("m", 1, "åäö")).encode(),
        b"",
        b"{",
        b"[]",
        b'{"async":true}',
        json.dumps(call("n")).encode(),
    ]
    return digest("primary", bytes(20)) + b"".join(map(frame, said))


def modern_bytes(client: ClientWire) -> bytes:
    client.call("a", [1, {"k": [None]}])
    client.call("put", [Attachment(b"z" * 5000), Attachment(b"")])
    client.cancel(1)
    client.credit(2, 9)
    client.call("b", ms=3, stream=100)
    return taken(client)


def play(wire: ServerWire, parts: list[bytes]) -> tuple[list[str], bytes]:
    """(all events as text, all bytes answered)."""
    events: list[str] = []
    for part in parts:
        events += [shown(event) for event in wire.receive(part)]
        wire.settle()
    return events, taken(wire)


def shown(event: Any) -> str:
    if isinstance(event, Call) and event.params is not None:
        event.params.vargs = [
            bytes(one) if isinstance(one, memoryview) else one for one in event.params.vargs
        ]
    return repr(event)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@FAST
@given(st.lists(st.integers(min_value=0, max_value=100_000), max_size=12))
def test_any_splitting_gives_the_same_events(places: list[int]) -> None:
    data = conversation_bytes()
    assert play(old_server(), cut(data, places)) == play(old_server(), [data])


@FAST
@given(st.lists(st.integers(min_value=0, max_value=100_000), max_size=12))
def test_any_splitting_gives_the_same_events_on_v1(places: list[int]) -> None:
    server, client = pair()
    state, _ = server.snapshot()
    data = modern_bytes(client)
    whole = play(server, [data])
    assert len(whole[0]) == 5
    assert play(ServerWire.restore(lambda: KEYS, state), cut(data, places)) == whole


@FAST
@given(st.integers(min_value=0, max_value=100_000))
def test_a_snapshot_at_any_byte_equals_none(place: int) -> None:
    server, client = pair()
    data = modern_bytes(client)
    first, second = cut(data, [place])
    state, _ = server.snapshot()
    whole = play(ServerWire.restore(lambda: KEYS, state), [data])
    before = [shown(event) for event in server.receive(first)]
    server.result(1, "queued")
    answered = server.outbox.content()
    state, fds = server.snapshot()
    state = json.loads(json.dumps(state, default=lambda raw: {"hex": raw.hex()}), object_hook=_bytes)
    assert fds == []
    after, said = play(ServerWire.restore(lambda: KEYS, state), [second])
    assert (before + after, said) == (whole[0], answered + whole[1])


@FAST
@given(st.integers(min_value=0, max_value=100_000))
def test_a_snapshot_in_the_middle_of_an_old_handshake(place: int) -> None:
    data = conversation_bytes()
    first, second = cut(data, [place])
    wire = old_server()
    wire.begin()
    before = [shown(event) for event in wire.receive(first)]
    state, _ = wire.snapshot()
    after, said = play(ServerWire.restore(lambda: KEYS, state), [second])
    plain = old_server()
    plain.begin()
    assert (before + after, said) == play(plain, [data])


@FAST
@given(st.lists(st.binary(max_size=200), max_size=8))
def test_no_bytes_break_the_server(parts: list[bytes]) -> None:
    for wire in (old_server(), opened(), pair()[0]):
        for part in parts:
            wire.receive(part)


@FAST
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.recursive(
                st.none() | st.integers() | st.text(max_size=5) | st.floats(),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(
                        st.sampled_from(
                            [
                                "method",
                                "params",
                                "vargs",
                                "kwargs",
                                "async",
                                "id",
                                "ms",
                                "stream",
                                "parts",
                                "fds",
                                "cancel",
                                "credit",
                                "bad_params",
                            ]
                        ),
                        inner,
                        max_size=6,
                    )
                ),
            ).map(lambda one: json.dumps(one).encode()),
        ),
        max_size=6,
    )
)
def test_no_frames_break_either_end(bodies: list[bytes]) -> None:
    server, client = pair()
    for wire in (opened(), server):
        for body in bodies:
            for event in wire.receive(frame(body)):
                assert isinstance(event, Call | Cancel | Credit | Broken)
        taken(wire)
    assert all(
        isinstance(e, Answer | Item | End | Goodbye | Lost)
        for body in bodies
        for e in client.receive(frame(body))
    )


def test_a_view_that_is_kept_does_not_stop_the_stream() -> None:
    server, client = pair()
    kept = []
    for number in range(5):
        client.call("put", [Attachment(bytes([number]) * 50_000)])
        data = taken(client)
        for part in (data[:30_000], data[30_000:]):
            for event in server.receive(bytearray(part)):
                assert isinstance(event, Call)
                assert event.params is not None
                kept.append(event.params.vargs[0])
            server.settle()
    assert [bytes(one) for one in kept] == [bytes([number]) * 50_000 for number in range(5)]


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match="limit"):
        ServerWire(list, salt=b"", limit=10)


def _bytes(found: dict[str, Any]) -> Any:
    return bytes.fromhex(found["hex"]) if set(found) == {"hex"} else found


def test_a_stranger_cannot_fill_memory_before_the_handshake() -> None:
    wire = old_server()
    assert [type(event) for event in wire.receive(struct.pack(">I", 5000))] == [Broken]
    (answer,) = answers(wire)
    assert answer["exception"]["type"] == "OverflowError"
