"""Joining is the opposite of cutting, in order, for many flows at a time."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.overlay.engine import packets
from wayhouse.overlay.engine.coalesce import Coalescer, Parcel
from wayhouse.overlay.engine.offload import CHECKED_HEAD, HEAD_SIZE, read_head
from wayhouse.overlay.engine.rows import Rows

ROWS = Rows(96, 1536)
ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
PEER = "peer"


def parcels(what: list[bytes], owners: list[str] | None = None, *, padding: int = 3) -> list[Parcel]:
    ROWS.flat[:] = 0x5A
    for row, packet in enumerate(what):
        ROWS.view[row * ROWS.stride : row * ROWS.stride + len(packet)] = packet
    return Coalescer(ROWS).parcels([len(p) + padding for p in what], owners or [PEER] * len(what))


def apart(parcel: Parcel) -> list[bytes]:
    """The packets of a parcel, as the kernel would cut it; its partial checksum is checked."""
    data = b"".join(parcel.buffers)
    head, packet = read_head(data), data[HEAD_SIZE:]
    if head.gso == 0:
        assert parcel.buffers[0] == CHECKED_HEAD
        assert parcel.size == len(packet)
        return [packet]
    at = head.start + head.offset
    ends = packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
    half = len(ends) // 2
    want = packets.words_sum(packets.pseudo(ends[:half], ends[half:], 6, len(packet) - head.start))
    assert int.from_bytes(packet[at : at + 2], "big") % 0xFFFF == want % 0xFFFF
    if packet[0] >> 4 == 4:
        assert packets.checksum(packet[:20]) == 0
    assert bool(head.gso & 0x80) == bool(packet[head.start + 13] & 0x80)
    pieces = packets.segments(packet, head.size)
    assert len(pieces) == parcel.packets
    assert sum(map(len, pieces)) == parcel.size
    assert len(packet) <= 0xFFFF
    return pieces


def cut(version: int, count: int, size: int, last: int, **more) -> list[bytes]:
    payload = bytes(range(256)) * 256
    packet = packets.tcp(*ENDS[version], payload[: (count - 1) * size + last], **more)
    return packets.segments(packet, size)


@settings(max_examples=60, deadline=None)
@given(
    version=st.sampled_from([4, 6]),
    count=st.integers(1, 40),
    size=st.integers(10, 1400),
    last=st.integers(1, 1400),
    seq=st.integers(0, 2**32 - 1),
    flags=st.sampled_from([0x10, 0x18, 0x11, 0x90, 0xD0]),
    options=st.sampled_from([b"", b"\x01\x01\x08\x0a12345678", b"\x01" * 36]),
)
def test_what_was_cut_becomes_one(version, count, size, last, seq, flags, options) -> None:
    what = cut(version, count, size, min(size, last), seq=seq, flags=flags, options=options)
    made = parcels(what)
    assert [piece for parcel in made for piece in apart(parcel)] == what
    assert len(made) == 1


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_flows_keep_their_order_and_every_packet(data) -> None:
    """Bursts of several flows, mixed, with losses, swaps, ACKs between and other protocols."""
    version = data.draw(st.sampled_from([4, 6, 0]))
    flows: list[list[bytes]] = []
    for number in range(data.draw(st.integers(1, 4))):
        kind = version or (4, 6)[number % 2]
        what = cut(kind, data.draw(st.integers(1, 12)), 200, 100, ports=(number, 5), flags=0x18)
        if data.draw(st.booleans()):
            what.insert(len(what) // 2, packets.tcp(*ENDS[kind], b"", ports=(number, 5)))
        if data.draw(st.booleans()) and len(what) > 2:
            what[1], what[2] = what[2], what[1]
        if data.draw(st.booleans()):
            del what[len(what) // 3]
        flows.append(what)
    flows.append([packets.udp(*ENDS[version or 4], bytes([n]) * 40) for n in range(3)])
    mixed: list[bytes] = []
    left = [list(flow) for flow in flows]
    while any(left):
        flow = data.draw(st.sampled_from([flow for flow in left if flow]))
        take = data.draw(st.integers(1, len(flow)))
        mixed += flow[:take]
        del flow[:take]
    out = [piece for parcel in parcels(mixed) for piece in apart(parcel)]
    assert sorted(out) == sorted(mixed)
    for flow in flows:
        assert [piece for piece in out if piece in flow] == flow


def test_eight_flows_one_packet_each_in_turn() -> None:
    flows = [cut(4, 10, 300, 300, ports=(number, 5)) for number in range(8)]
    made = parcels([flow[step] for step in range(10) for flow in flows])
    assert [parcel.packets for parcel in made] == [10] * 8


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    "change",
    [
        {"ack": 10},
        {"window": 1},
        {"flags": 0x12},
        {"flags": 0x14},
        {"flags": 0x30},
        {"flags": 0x90},
        {"tos": 4},
        {"ttl": 3},
        {"options": b"\x01" * 4},
        {"seq": 2},
    ],
)
def test_what_differs_is_not_joined(version, change) -> None:
    for many in (1, 5):
        first = cut(version, many, 100, 100)
        more = {"seq": 1 + 100 * many} | change
        what = first + cut(version, many, 100, 100, **more)
        made = parcels(what)
        assert [piece for parcel in made for piece in apart(parcel)] == what
        assert len(made) >= 2
        assert made[0].packets == many


def test_owners_are_kept_apart() -> None:
    what = cut(4, 10, 100, 100)
    made = parcels(what, ["a"] * 4 + ["b"] * 6)
    assert [(parcel.owner, parcel.packets) for parcel in made] == [("a", 4), ("b", 6)]
    made = parcels(what, ["a", "b"] * 5)
    assert len(made) == 10


def test_no_more_than_a_packet_can_be() -> None:
    first = cut(6, 46, 1400, 1400)
    more = cut(6, 40, 1400, 1400, seq=1 + 46 * 1400)
    made = parcels(first + more)
    assert [piece for parcel in made for piece in apart(parcel)] == first + more
    assert [parcel.packets for parcel in made] == [46, 40]


@pytest.mark.parametrize("few", [True, False])
def test_bad_lengths_give_nothing(few) -> None:
    good = cut(4, 2, 100, 100)
    bad = bytearray(good[1])
    bad[2:4] = struct.pack("!H", 1400)
    what = [good[0], bytes(bad), b"", b"\0" * 40, b"E" * 3] + ([] if few else good)
    lengths = [len(packet) for packet in what]
    ROWS.flat[:] = 0
    for row, packet in enumerate(what):
        ROWS.view[row * ROWS.stride : row * ROWS.stride + len(packet)] = packet
    made = Coalescer(ROWS).parcels(lengths, [PEER] * len(what))
    assert [parcel.packets for parcel in made] == ([1] if few else [1, 2])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.binary(max_size=130), max_size=12), st.sampled_from([0, 0x45, 0x60]))
def test_nonsense_never_raises(what, lead) -> None:
    if lead:
        what = [bytes([lead]) + packet for packet in what]
    for parcel in parcels(what, padding=0):
        assert b"".join(parcel.buffers)


def test_sources() -> None:
    for version, length in ((4, 4), (6, 16)):
        assert len(parcels(cut(version, 3, 100, 100))[0].source) == length
