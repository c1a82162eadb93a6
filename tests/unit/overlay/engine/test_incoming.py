"""What comes from the network: only what is authentic, new and from its peer's address gets in."""

from __future__ import annotations

import socket

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.overlay.engine import packets
from wayhouse.overlay.engine.offload import HEAD_SIZE
from wayhouse.overlay.engine.seal import Sealer
from wayhouse.overlay.ports import OutletEndpoint

ENDS = ("10.0.0.1", "10.0.0.2")


def sealed(pair, packet: bytes) -> bytes:
    """One datagram of side 0."""
    plain = memoryview(packet + bytes(-len(packet) % 16))
    data, _ = Sealer().seal(pair.keypair(0), [plain], None)
    return bytes(data)


def send(pair, *datagrams: bytes) -> list[bytes]:
    one, two = pair.sides
    for datagram in datagrams:
        one.sock.sendto(datagram, two.sock.getsockname())
    return [data[HEAD_SIZE:] for data in two.pump_in()]


def test_a_replay_is_refused(pair) -> None:
    packet = packets.udp(*ENDS, b"once")
    datagram = sealed(pair, packet)
    assert send(pair, datagram, datagram) == [packet]
    assert send(pair, datagram) == []
    assert pair.sides[1].dropped["refused"] == 2


def test_one_forged_among_good_ones(pair) -> None:
    what = [packets.udp(*ENDS, bytes([n]) * 50) for n in range(10)]
    datagrams = [sealed(pair, packet) for packet in what]
    datagrams[4] = datagrams[4][:-1] + bytes([datagrams[4][-1] ^ 1])
    assert send(pair, *datagrams) == what[:4] + what[5:]
    assert pair.sides[1].dropped == {"refused": 1}


def test_a_train_with_a_short_end_and_another_size_behind(pair) -> None:
    what = [packets.udp(*ENDS, bytes(size)) for size in (100, 100, 100, 40, 100, 200, 200, 10, 10, 300)]
    assert send(pair, *[sealed(pair, packet) for packet in what]) == what


def test_another_source_than_its_own(pair) -> None:
    good = packets.udp(*ENDS, b"good")
    assert send(pair, sealed(pair, packets.udp("10.0.0.7", ENDS[1], b"bad")), sealed(pair, good)) == [good]
    assert pair.sides[1].dropped == {"wrong-source": 1}
    peer = pair.sides[1].device.peers[pair.sides[0].device.public_key]
    assert (peer.received_packets, peer.received_bytes, peer.dropped) == (1, len(good), 1)


def test_a_packet_longer_than_a_row(pair) -> None:
    packet = packets.udp(*ENDS, bytes(8000))
    assert send(pair, sealed(pair, packet)) == [packet]


def test_stun_and_other_datagrams_go_to_the_owner(pair) -> None:
    stun = bytes.fromhex("000100002112a442") + bytes(12)
    assert send(pair, stun, stun, b"x", b"\1\1") == []
    assert pair.sides[1].other == [stun, stun, b"x", b"\1\1"]


def test_channel_data_that_is_not_wireguard_keeps_its_prefix(relayed) -> None:
    stun = bytes.fromhex("40010014") + bytes.fromhex("000100002112a442") + bytes(12)
    send(relayed, stun)
    assert relayed.sides[1].other == [stun]


def test_a_relayed_peer_is_not_followed(relayed) -> None:
    two = relayed.sides[1]
    peer = two.device.peers[relayed.sides[0].device.public_key]
    before = peer.endpoint
    packet = packets.udp(*ENDS, b"direct")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.sendto(sealed(relayed, packet), two.sock.getsockname())
    assert [data[HEAD_SIZE:] for data in two.pump_in()] == [packet]
    assert peer.endpoint is before


def test_a_direct_peer_is_followed_on_its_socket(pair) -> None:
    two = pair.sides[1]
    peer = two.device.peers[pair.sides[0].device.public_key]
    packet = packets.udp(*ENDS, b"moved")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))
        elsewhere.sendto(sealed(pair, packet), two.sock.getsockname())
        assert [data[HEAD_SIZE:] for data in two.pump_in()] == [packet]
        assert peer.endpoint.address == elsewhere.getsockname()
    two.device.set_endpoint(peer.public_key, None, 1.0, roams=False)
    assert send(pair, sealed(pair, packet)) == [packet]
    assert peer.endpoint is None, "its owner took the way away"


def test_delivered_from_elsewhere(pair) -> None:
    one, two = pair.sides
    out: list[bytes] = []
    way = one.ways.keep(OutletEndpoint(outlet=out.append))
    one.device.set_endpoint(two.device.public_key, way, 1.0, roams=False)
    packet = packets.udp(*ENDS, b"over an outlet")
    one.put(bytes(HEAD_SIZE), packet)
    one.pump_out()
    assert out
    for datagram in (b"", b"\4\0\0\0", bytes(70000), *out):
        two.incoming.deliver(one.device.public_key, datagram, 1.0)
    assert [data[HEAD_SIZE:] for data in two.pump_in()] == [packet]
    two.incoming.deliver(b"?" * 32, out[0], 1.0)
    assert two.dropped["malformed"] == 4


def test_translated(pair) -> None:
    two = pair.sides[1]
    peer = two.device.peers[pair.sides[0].device.public_key]
    two.incoming.translations[peer] = (bytes([10, 0, 0, 1]), bytes([172, 31, 0, 100]))
    assert send(pair, sealed(pair, packets.udp("172.31.0.100", "172.31.0.101", b"hi"))) == [
        packets.udp("10.0.0.1", "172.31.0.100", b"hi")
    ]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=200),
            st.binary(max_size=100).map(lambda data: b"\4\0\0\0" + data),
            st.binary(max_size=160).map(lambda data: b"\1\0\0\0" + data),
            st.binary(max_size=60).map(lambda data: b"\x40\1\0\x20\4\0\0\0" + data),
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_nonsense_changes_nothing(pair, datagrams, knows_index) -> None:
    two = pair.sides[1]
    two.ways.relays.add((two.sock, pair.sides[0].sock.getsockname()))
    if knows_index:
        datagrams = [pair.keypair(0).header + data[8:] if data[:1] == b"\4" else data for data in datagrams]
    assert send(pair, *datagrams) == []
    two.ways.relays.clear()
    packet = packets.udp(*ENDS, b"still there")
    assert send(pair, sealed(pair, packet)) == [packet]
