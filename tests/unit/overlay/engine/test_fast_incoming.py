"""The compiled part lets in what the twin lets in, flow by flow in the same order, and joins UDP as well where the TUN takes it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.parts.native_engine import native
from tests.unit.overlay.engine import packets
from tests.unit.overlay.engine.pairs import Pair
from wayhouse.overlay.engine.fast_incoming import FastIncoming, address_of
from wayhouse.overlay.engine.offload import GSO_UDP_L4, HEAD_SIZE, read_head
from wayhouse.overlay.engine.seal import Sealer
from wayhouse.overlay.wireguard.replay import ReplayWindow

ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}


def sealed(pair: Pair, packet: bytes) -> bytes:
    plain = memoryview(packet + bytes(-len(packet) % 16))
    data, _ = Sealer().seal(
        pair.keypair(0), [plain], pair.sides[0].device.peers[pair.sides[1].device.public_key].endpoint.channel
    )
    return bytes(data)


def apart(data: bytes) -> list[bytes]:
    """What the kernel makes of one write; its checksums are made anew, so the partial ones are looked at here."""
    head, packet = read_head(data), data[HEAD_SIZE:]
    if head.gso == 0:
        return [packet]
    at = head.start + head.offset
    half = len(packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]) // 2
    begin = 12 if packet[0] >> 4 == 4 else 8
    ends = packet[begin : begin + half], packet[begin + half : begin + 2 * half]
    protocol = packets.protocol_of(packet)
    want = packets.words_sum(packets.pseudo(*ends, protocol, len(packet) - head.start))
    assert int.from_bytes(packet[at : at + 2], "big") % 0xFFFF == want % 0xFFFF
    if packet[0] >> 4 == 4:
        assert packets.checksum(packet[:20]) == 0
    assert head.header_length == head.start + (
        8 if protocol == packets.UDP else (packet[head.start + 12] >> 4) * 4
    )
    assert bool(head.gso & 0x80) == (protocol == packets.TCP and bool(packet[head.start + 13] & 0x80))
    return packets.segments(packet, head.size)


def flow_of(packet: bytes) -> bytes:
    start = packets.transport_start(packet)
    return packet[:1] + packet[12 : start + 4] if packet[0] >> 4 == 4 else packet[6:7] + packet[8:44]


def flows(what: list[bytes]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for packet in what:
        found.setdefault(flow_of(packet), []).append(packet)
    return found


@st.composite
def burst(draw: st.DrawFn) -> list[bytes]:
    """Packets of one flow, as they come."""
    version, port = draw(st.sampled_from([4, 6])), draw(st.integers(1, 3))
    size, count = draw(st.sampled_from([1, 7, 100, 1200])), draw(st.integers(1, 70))
    last = draw(st.integers(1, size))
    payload = (bytes(range(256)) * 400)[: (count - 1) * size + last][:60000]
    kind = draw(st.sampled_from(["tcp", "tcp", "udp", "ack", "mixed"]))
    if kind == "tcp":
        flags = draw(st.sampled_from([0x10, 0x18, 0x19, 0x90, 0xC0]))
        what = packets.segments(packets.tcp(*ENDS[version], payload, ports=(port, 5), flags=flags), size)
    elif kind == "udp":
        what = packets.segments(packets.udp(*ENDS[version], payload, ports=(port, 5)), size)
    elif kind == "ack":
        what = [packets.tcp(*ENDS[version], b"", ports=(port, 5), ack=n) for n in range(3)]
    else:
        what = [packets.udp(*ENDS[version], bytes(n), ports=(port, 5), tos=n % 2, ident=n) for n in range(5)]
    if draw(st.booleans()) and len(what) > 3:
        what[1], what[2] = what[2], what[1]
        del what[len(what) // 2]
    return what


def let_in(
    pair: Pair, mover: object, datagrams: list[bytes]
) -> tuple[dict[bytes, list[bytes]], dict[str, int], int, int]:
    one, two = pair.sides
    two.incoming = mover  # type: ignore[assignment]
    two.incoming.fd, two.incoming.has_uso = two._inner.fileno(), True
    two.dropped.clear()
    pair.keypair(1).window = ReplayWindow()
    peer = two.device.peers[one.device.public_key]
    peer.received_packets = peer.received_bytes = 0
    got: list[bytes] = []
    for begin in range(0, len(datagrams), 100):
        for datagram in datagrams[begin : begin + 100]:
            one.sock.sendto(datagram, two.sock.getsockname())
        for data in two.pump_in():
            got += apart(data)
    return flows(got), dict(two.dropped), peer.received_packets, peer.received_bytes


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(data=st.data(), channel=st.sampled_from([None, 0x4001]))
def test_it_lets_in_what_the_twin_lets_in(data: st.DataObject, channel: int | None) -> None:
    """Bursts of several flows, of which some datagrams are forged, come twice or are from a wrong source, with other addresses given or not."""
    pair = Pair(channel)
    try:
        one, two = pair.sides
        if channel is not None:
            two.ways.relays.add((two.sock, one.sock.getsockname()))
        what = [packet for found in data.draw(st.lists(burst(), max_size=4)) for packet in found]
        what += data.draw(
            st.sampled_from([[], [packets.udp("10.0.0.7", "10.0.0.2", b"bad")], [b"", b"\x45", b"\x60" * 39]])
        )
        datagrams = [sealed(pair, packet) for packet in what]
        for change in data.draw(
            st.lists(st.integers(0, len(datagrams) - 1), max_size=4) if datagrams else st.just([])
        ):
            place = change % len(datagrams)
            if change % 3:
                datagrams[place] = datagrams[place][:-1] + bytes([datagrams[place][-1] ^ 1])
            else:
                datagrams.append(datagrams[place])
        fast = FastIncoming(two.device, two.ways, two.dropped, native())
        if data.draw(st.booleans()):
            peer = two.device.peers[one.device.public_key]
            fast.translations[peer] = two.incoming.translations[peer] = (
                bytes([10, 0, 0, 1]),
                bytes([172, 31, 255, 100]),
            )
        assert let_in(pair, fast, datagrams) == let_in(pair, two.incoming, datagrams)
    finally:
        pair.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair(native=native())
    made.sides[1].incoming.has_uso = True
    yield made
    made.close()


def send(pair: Pair, what: list[bytes]) -> list[bytes]:
    one, two = pair.sides
    for packet in what:
        one.sock.sendto(sealed(pair, packet), two.sock.getsockname())
    return two.pump_in()


@pytest.mark.parametrize("version", [4, 6])
def test_udp_of_one_flow_is_written_at_once(pair: Pair, version: int) -> None:
    what = packets.segments(packets.udp(*ENDS[version], bytes(range(250)) * 4), 90)
    (written,) = send(pair, what)
    assert read_head(written).gso == GSO_UDP_L4
    assert apart(written) == what
    peer = pair.sides[1].device.peers[pair.sides[0].device.public_key]
    assert (peer.received_packets, peer.received_bytes) == (len(what), sum(map(len, what)))


def test_udp_stays_apart_where_the_interface_does_not_take_it(pair: Pair) -> None:
    pair.sides[1].incoming.has_uso = False
    what = packets.segments(packets.udp(*ENDS[4], bytes(1000)), 100)
    assert [data[HEAD_SIZE:] for data in send(pair, what)] == what


def test_no_more_udp_than_the_kernel_cuts(pair: Pair) -> None:
    what = packets.segments(packets.udp(*ENDS[6], bytes(1000)), 10)
    assert [len(apart(data)) for data in send(pair, what)] == [64, 36]


@pytest.mark.parametrize(
    "change",
    [
        {"tos": 1},
        {"ttl": 9},
        {"ports": (1000, 2001)},
        {"fragment": 0},
        {"fragment": 0x2000},
        {"options": b"\1" * 4},
    ],
)
def test_udp_that_differs_is_not_joined(pair: Pair, change: dict[str, object]) -> None:
    what = [packets.udp(*ENDS[4], b"x" * 50), packets.udp(*ENDS[4], b"x" * 50, **change)]
    assert [data[HEAD_SIZE:] for data in send(pair, what)] == what


def test_udp_without_a_checksum_stays_without(pair: Pair) -> None:
    bare = [bytearray(packets.udp(*ENDS[4], b"x" * 50)) for _ in range(3)]
    for packet in bare:
        packet[26:28] = b"\0\0"
    assert [data[HEAD_SIZE:] for data in send(pair, [bytes(packet) for packet in bare])] == bare


def test_udp_of_another_length_than_it_says(pair: Pair) -> None:
    odd = bytearray(packets.udp(*ENDS[6], b"x" * 50))
    odd[44:46] = struct.pack("!H", 20)
    assert [data[HEAD_SIZE:] for data in send(pair, [bytes(odd)] * 2)] == [odd] * 2


def test_an_interface_that_is_gone_is_told(pair: Pair) -> None:
    pair.sides[1].incoming.fd = 999
    with pytest.raises(OSError, match="Bad file descriptor"):
        send(pair, [packets.udp(*ENDS[4], b"x")])
    pair.sides[1].incoming.fd = pair.sides[1]._inner.fileno()
    assert len(send(pair, [packets.udp(*ENDS[4], b"y")])) == 1


def test_more_datagrams_than_rows(pair: Pair) -> None:
    """One train is longer than a table: it is taken in parts."""
    what = [packets.udp(*ENDS[6], b"%03d" % n) for n in range(700)]
    two = pair.sides[1]
    datagrams = [sealed(pair, packet) for packet in what]
    size = len(datagrams[0])
    two.incoming._view[: 700 * size] = b"".join(datagrams)
    address = pair.sides[0].sock.getsockname()
    two.incoming._sort(two.sock, address, (0, 700 * size, size), lambda *_: None, 1.0)
    two.incoming.finish(1.0)
    assert [piece for data in two.pump_in() for piece in apart(data)] == what


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_addresses_are_those_of_python(family: int, host: str) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as one, socket.socket(family, socket.SOCK_DGRAM) as two:
        try:
            one.bind((host, 0))
            two.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no such addresses")
        for _ in range(2):
            two.sendto(b"x", one.getsockname())
        wanted = one.recvfrom(9)[1]
        _, ((_, _, _, raw),) = native().receive(one.fileno(), bytearray(1 << 17), 9)
        assert address_of(raw) == wanted


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_addresses_of_other_kinds_are_none(raw: bytes) -> None:
    found = address_of(raw)
    assert found is None or len(found) in (2, 4)
