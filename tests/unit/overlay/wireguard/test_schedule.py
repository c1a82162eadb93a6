"""The schedule of many peers."""

from __future__ import annotations

import random

from tests.parts.wireguard_wire import Wire
from wayhouse.overlay.wireguard.schedule import Schedule
from wayhouse.overlay.wireguard.timing import NEVER


def test_the_earliest_comes_first_and_what_moved_on_is_looked_at_again() -> None:
    wire = Wire(3)
    one, other = wire.peer(0, 1), wire.peer(0, 2)
    schedule = Schedule()
    schedule.update(one)
    assert schedule.deadline() == NEVER
    one.timers.data_received(0.0)
    other.timers.data_received(5.0)
    schedule.update(one)
    schedule.update(other)
    assert schedule.deadline() == 10.0
    one.timers.sent(1.0)
    assert schedule.take(12.0) == [one]
    schedule.update(one)
    assert schedule.deadline() == 15.0
    schedule.forget(other)
    assert schedule.deadline() == NEVER


def test_nobody_is_late_whatever_happens() -> None:
    wire = Wire(10)
    peers = [wire.peer(0, other) for other in range(1, 10)]
    schedule = Schedule()
    now = 0.0
    for _ in range(2000):
        now += random.expovariate(1.0)
        for peer in schedule.take(now):
            peer.timers.take(now)
            schedule.update(peer)
        peer = random.choice(peers)
        random.choice(
            [peer.timers.data_received, peer.timers.sent, peer.timers.data_sent, peer.timers.received]
        )(now)
        schedule.update(peer)
        assert schedule.deadline() <= min(one.timers.due() for one in peers)
