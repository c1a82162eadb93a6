"""What goes out of the sandbox is JSON, and nothing else does."""

from __future__ import annotations

import json
import marshal
import math
import os
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from wayhouse.automation.sandbox.channel import CallError, Channel, Stopped, encode

PLAIN = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(2**63) + 1, 2**63 - 1)
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
)


@settings(max_examples=300)
@given(PLAIN)
def test_plain_data_is_json(value: object) -> None:
    assert json.loads(encode(value)) == value


@pytest.mark.parametrize(
    "value", [object(), {1: 2}, {1, 2}, b"x", 2**63, math.nan, -math.inf, [object()], lambda: 0]
)
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="the gateway takes"):
        encode(value)


def test_calls_and_answers() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(theirs.fileno())
        for kind, value, code in (("ok", [1, None], ""), ("error", "no", "not-found"), ("stopped", None, "")):
            data = marshal.dumps((kind, value, code))
            ours.sendall(len(data).to_bytes(4, "big") + data)
        assert channel.call("value", entry="a", name="b") == [1, None]
        with pytest.raises(CallError, match="no") as caught:
            channel.call("x")
        assert caught.value.code == "not-found"
        with pytest.raises(Stopped):
            channel.call("y")
        channel.tell(do="say", text="ä\n")
        lines = ours.recv(4096).splitlines()
        assert json.loads(lines[0]) == {"do": "call", "ask": {"call": "value", "entry": "a", "name": "b"}}
        assert json.loads(lines[3]) == {"do": "say", "text": "ä\n"}


@pytest.mark.parametrize("closes", [True, False])
def test_without_the_gateway_it_ends(closes: bool) -> None:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        if not closes:
            theirs.close()
        Channel(theirs.fileno() if closes else 999).call("value")
        os._exit(0)
    ours.close()
    theirs.close()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
