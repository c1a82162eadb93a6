from __future__ import annotations

import msgspec
import pytest

from wayhouse.api.wire import WebView
from wayhouse.chutes.model import Chute, Desired, Restart, Service, ServiceState, Spec
from wayhouse.chutes.ports import Container
from wayhouse.ledger.model import Actor, Change, State, Wish
from wayhouse.portal.apps import Phase, doing, open_url, phase_of

SPEC = Spec(
    name="app",
    services={"main": Service(name="main"), "job": Service(name="job", restart=Restart.ON_FAILURE)},
)
CHUTE = Chute(spec=SPEC, owner=Actor("a"), desired=Desired.RUNNING, token="t", change_id=1)


def containers(main: str, job: str, code: int | None = None) -> dict[str, Container]:
    return {
        f"app-{service}": Container(
            name=f"app-{service}",
            chute="app",
            service=service,
            change_id=1,
            image="i",
            state=ServiceState(state, exit_code=code),
        )
        for service, state in (("main", main), ("job", job))
    }


@pytest.mark.parametrize(
    ("found", "phase", "label"),
    [
        (containers("running", "running"), Phase.RUNNING, "Running"),
        (containers("running", "exited", 0), Phase.RUNNING, "Running"),
        (containers("running", "exited", 1), Phase.PARTLY, "1 of 2 running"),
        (containers("restarting", "running"), Phase.PARTLY, "Keeps restarting"),
        ({}, Phase.FAILING, "Not running"),
    ],
)
def test_the_phase_says_what_deserves_attention(found, phase, label):
    assert phase_of(CHUTE, found, None) == (phase, label)


def test_a_stopped_app_is_stopped_whatever_its_containers_do():
    chute = msgspec.structs.replace(CHUTE, desired=Desired.STOPPED)
    assert phase_of(chute, {}, None) == (Phase.STOPPED, "Stopped")


@pytest.mark.parametrize(
    ("kind", "state", "word"),
    [
        ("chute.create", State.RUNNING, "Installing"),
        ("chute.delete", State.RUNNING, "Removing"),
        ("chute.stop", State.QUEUED, "Waiting"),
        ("chute.update", State.UNDOING, "Undoing"),
        ("router.reboot", State.RUNNING, "Changing"),
    ],
)
def test_what_a_change_does(kind, state, word):
    wish = Wish(kind=kind, resource="chute/app", name="app")
    change = Change(id=1, wish=wish, actor=Actor("a"), state=state, created=0.0)
    assert doing(change) == word
    assert phase_of(CHUTE, {}, change) == (Phase.BUSY, word)


def test_where_the_page_of_an_app_is():
    assert open_url(WebView("main", 80, 20001, "/chutes/app/"), "[::1]") == "http://[::1]:20001/"
    assert open_url(WebView("main", 80, None, "/chutes/app/"), "box") == "/chutes/app/"
    assert open_url(None, "box") is None
