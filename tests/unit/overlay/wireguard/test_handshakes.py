"""Handshakes between two devices: lost, repeated, forged, colliding, and under load."""

from __future__ import annotations

import secrets

import pytest

from tests.parts.wireguard_wire import EXACT, Wire, kind
from wayhouse.overlay.ports import PeerSetup
from wayhouse.overlay.wireguard.device import Device
from wayhouse.overlay.wireguard.timing import Timing
from wayhouse.overlay.wireguard.traffic import Established


class Lossy:
    """Loses the first of each of these kinds."""

    def __init__(self, *kinds: str) -> None:
        self.left = list(kinds)

    def __call__(self, found: str, datagram: bytes) -> bool:
        if found in self.left:
            self.left.remove(found)
            return False
        return True


@pytest.mark.parametrize("lost", ["initiation", "response"])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_lost_handshake_message_costs_five_seconds_and_no_packet(lost: str, times: int) -> None:
    wire = Wire()
    wire.passes = Lossy(*[lost] * times)
    packet = wire.send()
    wire.run(5.0 * times)
    assert not wire.nodes[1].got
    wire.run(0.2)
    assert wire.nodes[1].got == [packet]


def test_a_lost_first_data_message_leaves_the_responder_unconfirmed_until_the_next() -> None:
    wire = Wire()
    wire.passes = Lossy("data")
    wire.send()
    wire.run(1.0)
    assert wire.peer(1, 0).current is None
    answer = wire.send(1, 0)
    packet = wire.send()
    wire.run(1.0)
    assert wire.nodes[1].got == [packet]
    assert wire.nodes[0].got == [answer]


def test_both_sides_at_once_lose_nothing_and_agree_on_one_session() -> None:
    for _ in range(8):
        wire = Wire()
        first, second = wire.send(0, 1), wire.send(1, 0)
        wire.run(1.0)
        assert (wire.nodes[0].got, wire.nodes[1].got) == ([second], [first])
        one, other = wire.peer(0, 1).current, wire.peer(1, 0).current
        assert one is not None
        assert other is not None
        assert (one.remote_index, one.local_index) == (other.local_index, other.remote_index)
        assert one.is_initiator != other.is_initiator


@pytest.mark.parametrize(
    "lost", [["initiation"], ["response"], ["response", "response"], ["data"], ["data", "data"]]
)
def test_a_collision_in_which_something_is_lost_too(lost: list[str]) -> None:
    for first, second in ((0, 1), (1, 0)):
        wire = Wire()
        wire.passes = Lossy(*lost)
        wire.send(first, second)
        wire.send(second, first)
        wire.run(6.0)
        packets = wire.send(first, second), wire.send(second, first)
        wire.run(1.0)
        assert wire.nodes[second].got[-1:] == [packets[0]]
        assert wire.nodes[first].got[-1:] == [packets[1]]


def test_every_message_repeated_changes_nothing() -> None:
    wire = Wire()
    wire.send()
    wire.run(1.0)
    events = [list(node.events) for node in wire.nodes]
    figures = [node.device.figures() for node in wire.nodes]
    log = list(wire.log)
    for _, source, destination, datagram in log:
        wire.inject(source, destination, datagram)
    wire.run(1.0)
    assert [node.events for node in wire.nodes] == events
    assert [node.device.figures() for node in wire.nodes] == figures
    assert wire.log == log
    one, other = wire.nodes
    assert other.device.refused == {"replayed": 2}
    assert one.device.refused == {"unexpected": 1}


def test_an_old_initiation_is_known_after_the_peer_was_silent_for_a_day() -> None:
    wire = Wire()
    wire.send()
    wire.run(86_400.0)
    _, source, destination, initiation = wire.log[0]
    wire.inject(source, destination, initiation)
    wire.run(1.0)
    assert wire.nodes[1].device.refused == {"replayed": 1}


def test_handshakes_go_on_while_the_wall_clock_stands_still_or_goes_back() -> None:
    wire = Wire()
    for number in range(5):
        wire.wall_offset = -wire.now - number
        packet = wire.send()
        wire.run(200.0)
        assert wire.nodes[1].got[-1] == packet
    assert not wire.nodes[1].device.refused


def test_a_stranger_gets_no_answer() -> None:
    wire = Wire()
    stranger = Device(secrets.token_bytes(32), timing=EXACT)
    known = wire.nodes[1].device
    stranger.set_peer(PeerSetup(public_key=known.public_key, allowed_ips=(), keepalive_s=25), wire.now)
    stranger.set_endpoint(known.public_key, wire.nodes[1].endpoint, wire.now)
    stranger.tick(wire.now, wire.wall)
    ((_, initiation),) = stranger.outbox()
    known.receive_handshake(initiation, "elsewhere", wire.now)
    assert known.outbox() == []
    assert known.refused == {"stranger": 1}


def test_who_does_not_know_our_key_gets_no_answer_even_under_load() -> None:
    device = Wire(handshakes_per_s=0).nodes[0].device
    device.receive_handshake(b"\1\0\0\0" + secrets.token_bytes(144), "x", 1.0)
    assert device.outbox() == []
    assert device.refused == {"bad-mac1": 1}


def test_different_preshared_keys_make_no_link() -> None:
    wire = Wire(psk=bytes(31) + b"\1")
    wire.introduce(wire.nodes[1], wire.nodes[0], bytes(31) + b"\2")
    wire.send()
    wire.run(30.0)
    assert not wire.nodes[1].got
    assert not any(isinstance(event, Established) for node in wire.nodes for event in node.events)
    assert wire.nodes[0].device.refused["forged"] >= 5
    wire.introduce(wire.nodes[1], wire.nodes[0], bytes(31) + b"\1")
    wire.run(6.0)
    assert len(wire.nodes[1].got) == 1


def test_a_forged_response_does_not_spoil_the_true_one() -> None:
    wire = Wire()
    wire.passes = lambda found, datagram: found != "response"
    wire.send()
    wire.run(1.0)
    (response,) = wire.sent("response")
    device = wire.nodes[0].device
    for at in range(len(response) - 16):
        forged = bytearray(response)
        forged[at] ^= 0x40
        device.receive_handshake(bytes(forged), "x", wire.now)
    assert wire.peer().current is None
    assert wire.peer().endpoint == wire.nodes[1].endpoint
    device.receive_handshake(response, wire.nodes[1].endpoint, wire.now)
    assert wire.peer().current is not None


def test_initiations_of_one_peer_without_end_are_a_flood() -> None:
    wire = Wire(timing=Timing(rekey_timeout_s=0.001, jitter_s=0.0))
    wire.passes = lambda found, datagram: found == "initiation"
    wire.send()
    wire.run(0.5)
    assert wire.nodes[1].device.refused["flood"] > 200
    assert len(wire.sent("response")) <= 25


def test_under_load_the_link_is_made_with_a_cookie() -> None:
    wire = Wire(handshakes_per_s=0)
    packet = wire.send()
    wire.run(4.0)
    assert [kind(datagram) for *_, datagram in wire.log] == ["initiation", "cookie"]
    wire.run(5.0)
    kinds = [kind(datagram) for *_, datagram in wire.log]
    assert kinds == ["initiation", "cookie", "initiation", "response", "cookie"]
    wire.run(6.0)
    assert wire.nodes[1].got == [packet]
    # Later handshakes use the cookies that both have now.
    cookies = len(wire.sent("cookie"))
    wire.passes = lambda found, datagram: found != "keepalive"
    wire.run(60.0)
    assert len(wire.sent("cookie")) - cookies <= 1


def test_a_spoofed_source_under_load_costs_no_handshake() -> None:
    wire = Wire(handshakes_per_s=0)
    wire.passes = lambda found, datagram: False
    wire.send()
    wire.run(0.1)
    (initiation,) = wire.sent("initiation")
    device = wire.nodes[1].device
    for number in range(50):
        device.receive_handshake(initiation, (f"198.51.100.{number}", 1), wire.now)
    assert [len(reply) for _, reply in device.outbox()] == [64] * 50
    assert device.refused == {"cookie": 50}
    assert wire.peer(1, 0).latest_stamp == b""


def test_a_removed_peer_is_a_stranger() -> None:
    wire = Wire()
    wire.send()
    wire.run(1.0)
    device = wire.nodes[1].device
    device.remove_peer(wire.nodes[0].device.public_key)
    device.remove_peer(wire.nodes[0].device.public_key)
    wire.send()
    wire.run(30.0)
    assert len(wire.nodes[1].got) == 1
    assert not device.by_index
    assert device.refused["no-key"] == 1
    assert device.refused["stranger"] >= 2
