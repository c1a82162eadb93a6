import pytest

from wayhouse.api import client_grace
from wayhouse.api.client_errors import ProblemError, StrangeAnswerError, UnreachableError, UntrustedError
from wayhouse.api.client_grace import Grace

LOST = UnreachableError("Nothing listens there.")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(client_grace, "PAUSE_S", 0.0)


def test_it_is_waited_for_and_then_given_up_with_the_reason():
    told = []
    grace = Grace(60.0, lost=told.append)
    for _ in range(2):
        grace.wait(LOST)
    assert told == [60.0]
    grace.reached()
    grace.wait(LOST)
    assert told == [60.0] * 2
    grace = Grace(1e-9)
    with pytest.raises(UnreachableError, match=r"not come back within 1e-09 seconds\. Nothing listens there"):
        _wait_long(grace)


def _wait_long(grace):
    for _ in range(1000):
        grace.wait(LOST)


def test_being_reached_begins_anew():
    grace = Grace(60.0)
    grace.wait(LOST)
    grace.reached()
    assert grace._lost is None


def test_without_grace_the_failure_itself_is_raised():
    with pytest.raises(UnreachableError, match=r"^Nothing listens there\.$"):
        Grace(0.0).wait(LOST)


@pytest.mark.parametrize(
    "error",
    [
        UntrustedError("another certificate"),
        StrangeAnswerError("odd"),
        ProblemError("no", status=404, code="not-found"),
    ],
)
def test_what_time_does_not_heal_is_raised_at_once(error):
    with pytest.raises(type(error)):
        Grace(60.0).wait(error)


def test_a_proxy_or_a_gateway_that_starts_is_waited_for():
    Grace(60.0).wait(ProblemError("starting", status=503, code="unavailable"))
