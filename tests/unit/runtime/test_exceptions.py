"""The errors: what the manual promises, and what a peer may put into them."""

from __future__ import annotations

import copy
import json
import pickle
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.runtime import exceptions as ex

ROWS = [["/srv/x.py", 7, "method", "raise Oops()"]]


@pytest.mark.parametrize(
    ("details", "text"),
    [
        ("text", "details is not a dictionary"),
        ({1: "x", "message": "m"}, "not all keys"),
        ({"type": "X"}, "message"),
    ],
)
def test_details_of_a_wrong_shape_are_refused_with_a_bare_exception(details, text) -> None:
    with pytest.raises(Exception, match=text) as caught:
        ex.AveException(details)
    assert type(caught.value) is Exception


def test_details_can_be_read_as_attributes_and_keep_a_foreign_type() -> None:
    error = ex.AveException({"message": "m", "type": "Busy", "who": "me"})
    assert (error.message, error.type, error.who) == ("m", "Busy", "me")
    assert error.json() == {"message": "m", "type": "Busy", "who": "me"}
    assert ex.Timeout("late").details == {"message": "late", "type": "Timeout"}


def test_fix_a_missing_attribute_is_an_attribute_error() -> None:
    error = ex.Timeout("late")
    assert not hasattr(error, "nothing")
    assert not hasattr(ex.Timeout.__new__(ex.Timeout), "nothing")


@pytest.mark.parametrize("turn", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
@pytest.mark.parametrize(
    "error",
    [ex.Exit({"message": "m", "extra": [1]}), ex.RunError(["ls"], "out", "no"), ex.ConnectionClosed()],
)
def test_fix_errors_survive_copy_and_pickle(turn, error) -> None:
    again = turn(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert getattr(again, "details", None) == getattr(error, "details", None)


def test_the_trace_is_part_of_the_text() -> None:
    error = ex.exception_factory({"type": "KeyError", "message": "no", "trace": ROWS})
    trace = '  File "/srv/x.py", line 7, in method\n    raise Oops()\n'
    assert isinstance(error, ex.AveException)
    assert error.format_trace() == trace
    assert str(error) == f"no\nServer side traceback:\n{trace}"
    assert ex.AveException({"message": "no"}).format_trace() == ""


def test_run_error_says_command_message_and_output() -> None:
    error = ex.RunError("ls -l", "out", "bad")
    assert str(error) == "ls -l:\nbad:\nout"
    assert error.ptyout == "out"
    assert ex.RunError(["ls", "-l"], "").cmd == ["ls", "-l"]


@pytest.mark.parametrize("name", ["Timeout", "Exit", "AuthError", "Restarting", "Terminated", "Offline"])
def test_known_types_are_rebuilt(name) -> None:
    error = ex.exception_factory({"type": name, "message": "m", "more": 1})
    assert type(error).__name__ == name
    assert error.more == 1  # type: ignore[attr-defined]


def test_other_types_are_rebuilt_as_near_as_can_be() -> None:
    assert type(ex.exception_factory({"type": "OverflowError", "message": "m"})) is OverflowError
    run = ex.exception_factory({"type": "RunError", "message": "m", "cmd": ["x"], "out": "o", "trace": ROWS})
    assert isinstance(run, ex.RunError)
    assert (run.cmd, run.out, run.ptyout, run.has_trace()) == (["x"], "o", "o", True)
    plain = ex.exception_factory("text")
    assert isinstance(plain, ex.AveException)
    assert (plain.type, plain.message) == ("Exception", "text")
    assert type(ex.exception_factory({"type": "Composition", "message": "m"})) is ex.AveException


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "message", "trace", "cmd", "out", "status"]) | st.text(max_size=4), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_whatever_a_peer_sends_makes_an_error_that_can_be_printed(details) -> None:
    error = ex.exception_factory(details)
    assert isinstance(str(error), str)
    if isinstance(error, ex.AveException):
        assert isinstance(error.message, str)
        assert error.fields == {}
        assert json.loads(json.dumps(error.json())) == error.json()
        assert isinstance(copy.copy(error), ex.AveException)


def test_the_excepthook_also_prints_the_servers_trace(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    seen = []
    hook = ex.amend_excepthook(lambda *args: seen.append(args))
    assert sys.excepthook is hook
    error = ex.AveException({"message": "m", "trace": ROWS})
    hook(type(error), error, None)
    hook(ValueError, ValueError("x"), None)
    assert len(seen) == 2
    assert capsys.readouterr().err == error.format_trace()


def test_network_errors_have_their_texts() -> None:
    assert [str(kind()) for kind in (ex.ConnectionClosed, ex.ConnectionTimeout, ex.ConnectionRefused)] == [
        "connection closed",
        "timed out",
        "connection refused",
    ]
    assert [str(kind()) for kind in (ex.ConnectionInProgress, ex.ConnectionAgain, ex.ConnectionReset)] == [
        "connection in progress",
        "connection again",
        "connection reset",
    ]
    assert str(ex.ConnectionTimeout("other")) == "other"
    assert ex.RemoteTimeout is ex.Timeout
