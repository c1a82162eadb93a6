"""Losing the gateway while watching, and leaving."""

import io
from collections.abc import Iterator

import pytest

from wayhouse.api import client_grace
from wayhouse.api.client_errors import UnreachableError
from wayhouse.api.wire import ChangeView, UserRef
from wayhouse.cli.screen import Screen
from wayhouse.cli.session import Session
from wayhouse.cli.wanted import Wanted
from wayhouse.cli.watch import ChangeFailedError, LeftError, demand_success, finish, watch

WHO = UserRef("ann", "localhost", "admin")


def _change(state="succeeded", reason=None):
    return ChangeView(
        id=7,
        updateClass="CHUTE",
        updateType="create",
        user=WHO,
        name="hello",
        version=None,
        status=state,
        state=state,
        created=1.0,
        started=1.0,
        ended=3.5,
        reason=reason,
    )


class Stub:
    """A client that gives a stream, a list of messages and how it ends, and is lost `lost` times after it."""

    def __init__(self, stream, lost=0):
        self._stream = stream
        self._lost = lost

    def call(self, row, **_):
        if self._lost:
            self._lost -= 1
            raise UnreachableError("lost")
        return _change()

    def follow(self, channel, **_) -> Iterator[str]:
        messages, end = self._stream
        for at, message in enumerate(messages):
            yield f'{{"time": {at}, "message": "{message}"}}'
        if end is not None:
            raise end


@pytest.fixture
def session(monkeypatch):
    monkeypatch.setattr(client_grace, "PAUSE_S", 0.0)
    return Session(Wanted(), {})


def _lines(session, stream, lost=0):
    session.client = Stub(stream, lost)
    seen = []
    watch(session, 7, each=lambda _, text: seen.append(text))
    return seen


def test_the_end_is_asked_for_until_the_gateway_is_back(session):
    assert _lines(session, (["a", "b"], None), lost=3) == ["a", "b"]


def test_a_gateway_that_stays_away_is_an_error(session):
    with pytest.raises(UnreachableError):
        _lines(session, (["a"], UnreachableError("lost")))


def test_ctrl_c_leaves_the_change_and_says_how_to_come_back(session):
    with pytest.raises(LeftError, match="wayhouse change watch 7"):
        _lines(session, (["a"], KeyboardInterrupt()))


def test_the_reason_is_the_error():
    with pytest.raises(ChangeFailedError, match="no space"):
        demand_success(_change("failed", "no space"))
    with pytest.raises(ChangeFailedError, match="cancelled"):
        demand_success(_change("cancelled"))
    demand_success(_change())


def test_the_end_says_how_long_it_took(session):
    session.screen = Screen(out=io.StringIO(), err=io.StringIO())
    session.client = Stub((["Building"], None))
    assert finish(session, 7, wait=True) == _change()
    assert session.screen.err.getvalue() == "Building\nDone in 2.5 s.\n"


def test_without_waiting_nothing_is_watched(session):
    session.screen = Screen(out=io.StringIO(), err=io.StringIO())
    assert finish(session, 7, wait=False) is None
    assert "wayhouse change watch 7" in session.screen.out.getvalue()
