import socket

import pytest

from tests.parts.old_ends import SMALL, key
from wayhouse.overlay.drivers import old_way
from wayhouse.overlay.legacy import peer_key
from wayhouse.overlay.ports import OutletEndpoint, UdpEndpoint

DTLS, CLEAR = peer_key.decode(key(SMALL)), peer_key.decode(bytes.fromhex(SMALL))
RECORD = b"\x17\xfe\xfd" + bytes(10)
FRAME = bytes.fromhex(SMALL) + b"and more"
STUN = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
HERE = ("127.0.0.1", 4)
PREFIXED = b"\x40\x01" + len(RECORD).to_bytes(2, "big")


@pytest.fixture
def sock():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(2)
        yield made


def test_a_datagram_goes_where_the_path_leads(sock):
    assert old_way.transmit(UdpEndpoint(sock, sock.getsockname()), RECORD)
    assert sock.recv(100) == RECORD
    assert old_way.transmit(UdpEndpoint(sock, sock.getsockname(), channel=0x4001), RECORD)
    assert sock.recv(100) == PREFIXED + RECORD
    sent: list[bytes] = []
    assert old_way.transmit(OutletEndpoint(sent.append), RECORD)
    assert sent == [RECORD]
    assert not old_way.transmit(UdpEndpoint(sock, sock.getsockname()), bytes(70_000))


def test_dtls_is_told_from_ice_and_turn(sock):
    endpoint = UdpEndpoint(sock, HERE)
    assert old_way.inner(endpoint, DTLS, RECORD, HERE) == RECORD
    assert old_way.inner(endpoint, DTLS, RECORD, ("192.0.2.1", 1)) == RECORD, "its keys say whose it is"
    assert old_way.inner(None, DTLS, RECORD, HERE) == RECORD
    for other in (STUN, PREFIXED + RECORD, b"", FRAME):
        assert old_way.inner(endpoint, DTLS, other, HERE) is None


def test_through_a_relay_it_is_inside(sock):
    endpoint = UdpEndpoint(sock, HERE, channel=0x4001)
    assert old_way.inner(endpoint, DTLS, PREFIXED + RECORD + b"pad", HERE) == RECORD
    assert old_way.inner(endpoint, DTLS, b"\x40\x02" + PREFIXED[2:] + RECORD, HERE) is None
    assert old_way.inner(endpoint, DTLS, b"\x40\x01\x00\x14" + STUN, HERE) is None
    assert old_way.inner(endpoint, DTLS, RECORD, HERE) is None
    assert old_way.inner(endpoint, CLEAR, PREFIXED + RECORD, HERE) is None


def test_in_the_clear_only_from_where_the_path_leads(sock):
    endpoint = UdpEndpoint(sock, HERE)
    assert old_way.inner(endpoint, CLEAR, FRAME, HERE) == FRAME
    assert old_way.inner(endpoint, CLEAR, FRAME, ("127.0.0.1", 5)) is None
    assert old_way.inner(None, CLEAR, FRAME, HERE) is None
    assert old_way.inner(endpoint, CLEAR, b"\x33" * 20, HERE) is None
