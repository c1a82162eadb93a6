"""The compiled part makes of whatever the TUN gives the very datagrams that the twin makes, which goes one by one."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.parts.native_engine import native
from tests.unit.overlay.engine import packets
from tests.unit.overlay.engine.pairs import Pair
from wayhouse.overlay.engine import udp_batch
from wayhouse.overlay.engine.fast_outgoing import READ_AT_ONCE, FastOutgoing
from wayhouse.overlay.engine.offload import GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, HEAD_SIZE
from wayhouse.overlay.ports import OutletEndpoint

ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
Given = tuple[bytes, bytes]


@st.composite
def uncut(draw: st.DrawFn) -> Given:
    """A TCP or UDP packet for the network card to cut."""
    version, size = draw(st.sampled_from([4, 6])), draw(st.integers(1, 1200))
    payload = bytes(draw(st.integers(0, 255)) for _ in range(3)) * draw(st.integers(1, 1 + size * 20))
    payload = payload[: size * 100]
    if draw(st.booleans()):
        packet, gso, offset = packets.udp(*ENDS[version], payload[:20000]), GSO_UDP_L4, 6
    else:
        flags, options = (
            draw(st.sampled_from([0x10, 0x18, 0x11, 0x90, 0xD9])),
            draw(st.sampled_from([b"", b"\1" * 12])),
        )
        seq = draw(st.sampled_from([0, 1, 2**32 - 1000, 2**32 - 1]))
        packet = packets.tcp(*ENDS[version], payload[:20000], flags=flags, options=options, seq=seq)
        gso, offset = (GSO_TCPV4 if version == 4 else GSO_TCPV6), 16
    return struct.pack("=BBHHHH", 1, gso, 0, size, packets.transport_start(packet), offset), packet


@st.composite
def alone(draw: st.DrawFn) -> Given:
    version, size = draw(st.sampled_from([4, 6])), draw(st.sampled_from([0, 1, 5, 20, 100, 100, 100, 1230]))
    where = draw(
        st.sampled_from([ENDS[version], ENDS[version], ("10.0.0.1", "10.9.9.9"), ("10.0.0.1", "224.0.0.9")])
    )
    packet = packets.udp(*where, bytes([draw(st.integers(0, 255))]) * size)
    head = (
        struct.pack("=BBHHHH", 1, 0, 0, 0, packets.transport_start(packet), 6)
        if draw(st.booleans())
        else bytes(HEAD_SIZE)
    )
    return head, packet


NONSENSE = st.tuples(
    st.one_of(st.binary(min_size=10, max_size=10), st.builds(struct.pack, st.just("=BBHHHH"), st.just(1), st.sampled_from([1, 4, 5, 0x81]), st.just(0), st.integers(0, 300), st.sampled_from([20, 40, 24, 28]), st.just(16))),
    st.binary(min_size=1, max_size=300).map(lambda data: packets.tcp(*ENDS[4], data)[:36] + data),
)  # fmt: skip


def made_by(
    pair: Pair, mover: object, what: list[Given]
) -> tuple[list[bytes], dict[str, int], list[bytes], int, int]:
    side = pair.sides[0]
    peer = side.device.peers[pair.sides[1].device.public_key]
    out: list[bytes] = []
    way = side.ways.keep(OutletEndpoint(outlet=out.append))
    side.device.set_endpoint(peer.public_key, way, 1.0, roams=False)
    pair.keypair(0).send_counter = 5
    side.dropped.clear()
    side.unroutable.clear()
    peer.sent_packets = peer.sent_bytes = 0
    for head, packet in what:
        side.put(head, packet)
        mover.turn(side._inner.fileno(), 1.0)  # type: ignore[attr-defined]
    return out, dict(side.dropped), list(side.unroutable), peer.sent_packets, peer.sent_bytes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(what=st.lists(st.one_of(uncut(), alone(), NONSENSE), max_size=8))
def test_it_makes_what_the_twin_makes(what: list[Given]) -> None:
    pair = Pair()
    try:
        side = pair.sides[0]
        fast = FastOutgoing(side.device, side.unroutable.append, side.dropped, native())
        assert made_by(pair, fast, what) == made_by(pair, side.outgoing, what)
    finally:
        pair.close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(what=st.lists(alone(), max_size=60), channel=st.sampled_from([None, 0x4001]))
def test_many_read_at_once_are_those_read_one_by_one(what: list[Given], channel: int | None) -> None:
    pair = Pair(channel, native())
    try:
        for head, packet in what:
            pair.sides[0].put(head, packet)
        pair.sides[0].pump_out()
        reached = [
            packet for _, packet in what if packet[0] >> 4 == 6 or packet[16:20] == bytes([10, 0, 0, 2])
        ]
        assert len(pair.sides[1].pump_in()) == len(reached)
        assert pair.keypair(0).send_counter >= len(reached)
    finally:
        pair.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair(native=native())
    yield made
    made.close()


def test_a_batch_is_one_send(pair: Pair) -> None:
    """However many packets of one size there are, the kernel is asked once for each 64 of them."""
    one, two = pair.sides
    for number in range(READ_AT_ONCE):
        one.put(bytes(HEAD_SIZE), packets.udp(*ENDS[4], b"x" * 100, ident=number))
    udp_batch.prepare(two.sock)
    one.pump_out()
    _, trains = native().receive(two.sock.fileno(), bytearray(1 << 18), 1)
    assert [(count // size, size) for _, count, size, _ in trains] == [(64, 160)]


def test_a_counter_that_is_used_up_ends_the_key(pair: Pair) -> None:
    side = pair.sides[0]
    pair.keypair(0).send_counter = (1 << 64) - 1000
    side.put(bytes(HEAD_SIZE), packets.udp(*ENDS[4], b"later"))
    side.pump_out()
    assert len(side.device.peers[pair.sides[1].device.public_key].staged) == 1
    assert pair.keypair(0).send_counter == (1 << 64) - 1000
