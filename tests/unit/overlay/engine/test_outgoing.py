"""From an interface to an interface: what goes in comes out, whatever way it is cut, batched and joined."""

from __future__ import annotations

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.overlay.engine import packets
from wayhouse.overlay.engine.offload import GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, HEAD_SIZE, read_head

PLAIN = bytes(HEAD_SIZE)
ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}


def through(pair, now: float = 1.0) -> list[bytes]:
    pair.sides[0].pump_out(now)
    return pair.sides[1].pump_in(now)


@pytest.mark.parametrize("channel", [None, 0x4001])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("mtu", [1280, 1420, 1501])
def test_a_large_tcp_packet_comes_out_whole(made, channel, version, mtu) -> None:
    pair = made(channel)
    for side in pair.sides:
        side.outgoing.set_mtu(mtu)
        side.incoming.set_mtu(mtu)
    packet = packets.tcp(*ENDS[version], bytes(range(250)) * 200, flags=0x18)
    size = mtu - (40 if version == 4 else 60)
    gso = GSO_TCPV4 if version == 4 else GSO_TCPV6
    head = struct.pack("=BBHHHH", 1, gso, 0, size, packets.transport_start(packet), 16)
    pair.sides[0].put(head, packet)
    got = through(pair)
    pieces = [p for data in got for p in packets.segments(data[HEAD_SIZE:], read_head(data).size or 65535)]
    assert pieces == packets.segments(packet, size)
    assert len(got) < len(pieces)
    peer = pair.sides[0].device.peers[pair.sides[1].device.public_key]
    assert peer.sent_packets == len(pieces)
    assert peer.sent_bytes == sum(map(len, pieces))
    assert pair.sides[1].dropped.total() == 0


def test_uso(pair) -> None:
    packet = packets.udp(*ENDS[6], bytes(5000))
    pair.sides[0].put(struct.pack("=BBHHHH", 1, GSO_UDP_L4, 0, 1000, 40, 6), packet)
    assert [data[HEAD_SIZE:] for data in through(pair)] == packets.segments(packet, 1000)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, 2500), min_size=1, max_size=30))
def test_single_packets_in_order(pair, sizes) -> None:
    what = [packets.udp(*ENDS[4 if size % 3 else 6], bytes([size % 251]) * size) for size in sizes]
    for packet in what:
        pair.sides[0].put(PLAIN, packet)
    pair.sides[0].pump_out()
    assert [data[HEAD_SIZE:] for data in through(pair)] == what


def test_checksums_left_to_do_are_done(pair) -> None:
    whole = packets.udp(*ENDS[4], b"hello")
    left = bytearray(whole)
    left[26:28] = packets.words_sum(packets.pseudo(whole[12:16], whole[16:20], 17, 13)).to_bytes(2, "big")
    pair.sides[0].put(struct.pack("=BBHHHH", 1, 0, 0, 0, 20, 6), bytes(left))
    assert through(pair)[0][HEAD_SIZE:] == whole


def test_what_nobody_gets(pair) -> None:
    side = pair.sides[0]
    side.outgoing.broadcasts = frozenset({bytes([10, 0, 0, 255])})
    stranger = packets.udp("10.0.0.1", "10.9.9.9", b"x")
    for packet in (
        stranger,
        packets.udp("10.0.0.1", "224.0.0.1", b"x"),
        packets.udp("10.0.0.1", "10.0.0.255", b"x"),
        packets.udp("fd00::1", "ff02::1", b"x"),
        b"\x45short",
        b"",
        b"\xf0" * 60,
    ):
        side.put(PLAIN, packet)
    assert through(pair) == []
    assert side.unroutable == [stranger]
    assert side.dropped == {"unroutable": 1, "multicast": 3, "malformed": 2}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.binary(min_size=10, max_size=10), packet=st.binary(min_size=1, max_size=300), lead=st.booleans()
)
def test_nonsense_from_the_interface(pair, head, packet, lead) -> None:
    if lead:
        packet = packets.udp(*ENDS[4], packet)[:20] + packet
    pair.sides[0].put(head, packet)
    through(pair)


def test_packets_wait_for_a_key(pair) -> None:
    one, two = pair.sides
    peer = one.device.peers[two.device.public_key]
    one.device.set_endpoint(two.device.public_key, None, 1.0, roams=False)
    one.put(PLAIN, packets.udp(*ENDS[4], b"later"))
    one.pump_out()
    assert len(peer.staged) == 1
    way = one.ways.find(one.sock, two.sock.getsockname())
    one.device.set_endpoint(two.device.public_key, way, 1.0, roams=False)
    for there, datagram in one.device.outbox():
        there.send_one(datagram)
    assert [data[HEAD_SIZE:] for data in two.pump_in()] == [packets.udp(*ENDS[4], b"later")]


def test_flows_and_single_packets_share_a_batch(pair) -> None:
    """Bursts of several flows, of one size and of others, and small packets between them: every one arrives, in its flow's order."""
    one = pair.sides[0]
    what: list[bytes] = []
    for number in range(12):
        size = 1000 if number % 4 else 700
        packet = packets.tcp(*ENDS[4], bytes([number]) * (size * 3 + (number % 3) * 11), ports=(number, 1))
        one.put(struct.pack("=BBHHHH", 1, GSO_TCPV4, 0, size, 20, 16), packet)
        what += packets.segments(packet, size)
        if number % 5 == 0:
            small = packets.udp(*ENDS[4], b"between")
            one.put(PLAIN, small)
            what.append(small)
    got = []
    for data in through(pair):
        got += (
            packets.segments(data[HEAD_SIZE:], read_head(data).size)
            if read_head(data).gso
            else [data[HEAD_SIZE:]]
        )
    assert sorted(got) == sorted(what)
    for number in range(12):
        port = number.to_bytes(2, "big")
        assert [p for p in got if p[20:22] == port] == [p for p in what if p[20:22] == port]
    assert pair.sides[1].dropped.total() == 0
    peer = one.device.peers[pair.sides[1].device.public_key]
    assert (peer.sent_packets, peer.sent_bytes) == (len(what), sum(map(len, what)))
