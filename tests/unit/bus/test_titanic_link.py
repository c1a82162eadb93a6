"""A worker's end of MDP, in virtual time."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.bus import mdp
from wayhouse.bus.model import HEARTBEAT_S, LIVENESS, RECONNECT_S
from wayhouse.bus.titanic_link import WorkerLink

HEARTBEAT = [b"", b"MDPW01", b"\4"]
DISCONNECT = [b"", b"MDPW01", b"\5"]


def opened(now: float = 0.0) -> WorkerLink:
    link = WorkerLink(b"titanic.request", mdp.ReadyMarks(credit=8, once=True))
    link.opened(now)
    return link


def test_it_signs_on_with_its_marks() -> None:
    assert opened().outbox() == [[b"", b"MDPW01", b"\1", b"titanic.request", b"credit=8", b"once"]]


def test_it_takes_requests_and_nothing_else() -> None:
    link = opened()
    message = link.receive([b"", b"MDPW01", b"\2", b"client", b"", b"body"], 1.0)
    assert message is not None
    assert (message.client, message.body) == (b"client", [b"body"])
    assert link.receive(HEARTBEAT, 1.0) is None
    assert link.receive([b"junk"], 1.0) is None


def test_it_beats_and_is_content_while_the_broker_does() -> None:
    link = opened()
    link.outbox()
    beats = 0
    for step in range(100):
        now = step * HEARTBEAT_S / 2
        link.receive(HEARTBEAT, now)
        link.tick(now)
        beats += link.outbox().count(HEARTBEAT)
        assert not link.wants_socket(now)
    assert beats == 49
    assert link.deadline() > 99 * HEARTBEAT_S / 2


def test_a_silent_broker_is_left_after_growing_pauses() -> None:
    link, now, opens = opened(), 0.0, list[float]()
    while now < 120.0:
        link.tick(now)
        if link.wants_socket(now):
            opens.append(now)
            link.opened(now)
        now += 0.05
    assert opens[0] >= LIVENESS * HEARTBEAT_S
    gaps = [round(after - before, 3) for before, after in itertools.pairwise(opens)]
    assert gaps == sorted(gaps)
    assert gaps[-1] <= LIVENESS * HEARTBEAT_S + RECONNECT_S + 0.2


def test_disconnect_asks_for_a_new_socket() -> None:
    link = opened()
    link.receive(DISCONNECT, 1.0)
    assert not link.wants_socket(1.0)
    assert link.wants_socket(link.deadline())
    link.opened(2.0)
    assert not link.wants_socket(2.0)
    assert link.outbox()[0][2] == b"\1"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=12), max_size=6))
def test_nothing_that_comes_can_harm(frames: list[bytes]) -> None:
    opened().receive(frames, 1.0)
    opened().receive([b"", b"MDPW01", *frames], 1.0)
