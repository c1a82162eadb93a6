"""What follows from authentic traffic: keepalives, silence, renewal."""

from __future__ import annotations

import pytest

from tests.parts.wireguard_wire import Wire
from wayhouse.overlay.wireguard.timing import NEVER, Timing
from wayhouse.overlay.wireguard.traffic import Answering, Established, Silent


def linked(**options: object) -> Wire:
    wire = Wire(**options)  # type: ignore[arg-type]
    wire.send()
    wire.run(1.0)
    for node in wire.nodes:
        node.events.clear()
    return wire


def test_the_first_packet_makes_the_link_and_arrives() -> None:
    wire = Wire()
    packet = wire.send()
    wire.run(1.0)
    one, other = wire.nodes
    assert other.got == [packet]
    assert one.events == [Established(other.device.public_key)]
    assert other.events == [Established(one.device.public_key)]


def test_who_only_receives_sends_a_keepalive_after_ten_seconds() -> None:
    wire = linked()
    wire.run(20.0)
    assert len(wire.sent("keepalive")) == 1
    wire.run(1000.0)
    assert len(wire.sent("keepalive", "initiation", "data")) == 3


def test_silence_is_told_in_seconds_and_giving_up_later() -> None:
    wire = linked()
    wire.run(20.0)
    start = wire.now
    wire.passes = lambda kind, datagram: False
    wire.send()
    wire.run(12.0)
    one, other = wire.nodes
    silent = Silent(other.device.public_key)
    assert one.events == [silent]
    wire.run(92.9)
    assert one.events == [silent]
    wire.run(1.0)
    assert one.events == [silent, Silent(other.device.public_key, gave_up=True)]
    assert len(wire.sent("initiation", since=start)) == 18
    assert not other.events


def test_a_peer_that_answers_again_is_told() -> None:
    wire = linked()
    wire.passes = lambda kind, datagram: False
    wire.send()
    wire.run(13.0)
    wire.passes = lambda kind, datagram: True
    wire.send(1, 0)
    wire.run(1.0)
    key = wire.nodes[1].device.public_key
    assert wire.nodes[0].events == [Silent(key), Answering(key)]


def test_packets_that_wait_for_nobody_are_dropped_and_the_next_one_tries_again() -> None:
    wire = Wire()
    wire.passes = lambda kind, datagram: False
    wire.send()
    wire.run(100.0)
    assert wire.peer().dropped == 1
    assert wire.nodes[0].device.deadline() > wire.now + 60
    wire.passes = lambda kind, datagram: True
    packet = wire.send()
    wire.run(1.0)
    assert wire.nodes[1].got == [packet]


def test_the_persistent_keepalive_makes_and_keeps_the_link_without_any_packet() -> None:
    wire = Wire(keepalive_s=15)
    wire.run(1.0)
    assert [len(node.events) for node in wire.nodes] == pytest.approx([1, 1], abs=1)
    wire.run(600.0)
    gaps = [after[0] - before[0] for before, after in zip(wire.log, wire.log[1:], strict=False)]
    assert max(gaps) <= 15.2
    assert not any(isinstance(event, Silent) for node in wire.nodes for event in node.events)


def test_the_persistent_keepalive_tries_for_ever() -> None:
    wire = Wire(keepalive_s=15)
    wire.passes = lambda kind, datagram: False
    wire.run(3600.0)
    start = wire.now
    wire.passes = lambda kind, datagram: True
    wire.run(20.0)
    assert wire.sent("response", since=start)
    assert wire.peer().usable(wire.now)


def test_an_initiator_that_only_receives_renews_its_keys_in_the_last_minute_once() -> None:
    wire = linked()
    wire.run(163.0)
    assert len(wire.sent("initiation")) == 1
    wire.passes = lambda kind, datagram: kind != "initiation"
    for _ in range(6):
        wire.send(1, 0)
        wire.run(1.0)
    assert len(wire.sent("initiation")) == 2
    wire.passes = lambda kind, datagram: True
    wire.run(6.0)
    assert wire.peer().current is not None
    assert wire.peer().current.created > 1160.0


def test_keys_are_renewed_when_they_were_used_too_often() -> None:
    wire = linked(timing=Timing(rekey_after_messages=50, jitter_s=0.0))
    for _ in range(60):
        wire.send()
        wire.run(0.1)
    wire.run(5.0)
    assert len(wire.sent("initiation")) == 2
    assert len(wire.nodes[1].got) == 61


def test_nothing_is_due_once_all_is_quiet_and_erased() -> None:
    wire = linked()
    wire.run(600.0)
    assert [node.device.deadline() for node in wire.nodes] == [NEVER, NEVER]
    assert not any(node.device.by_index for node in wire.nodes)
