"""One peer: what it is made of, and the packets that wait."""

from __future__ import annotations

import secrets

import pytest

from tests.parts.wireguard_wire import EXACT, Wire, ipv4
from wayhouse.base.errors import BadInputError
from wayhouse.overlay.ports import PeerSetup
from wayhouse.overlay.wireguard.keypair import Indices
from wayhouse.overlay.wireguard.noise import Identity
from wayhouse.overlay.wireguard.peer import MOST_STAGED, Peer


@pytest.fixture
def identity() -> Identity:
    return Identity(secrets.token_bytes(32))


def test_keys_that_no_peer_has(identity: Identity) -> None:
    for key in (b"", bytes(31), bytes(32), identity.public_key):
        with pytest.raises(BadInputError, match="key"):
            Peer(identity, key, Indices(), EXACT)


def test_setups_that_cannot_be(identity: Identity) -> None:
    peer = Peer(identity, Identity(secrets.token_bytes(32)).public_key, Indices(), EXACT)
    for wrong in ({"preshared_key": b"short"}, {"keepalive_s": -1}, {"keepalive_s": 65536}):
        with pytest.raises(BadInputError):
            peer.configure(PeerSetup(public_key=peer.public_key, allowed_ips=(), **wrong))


def test_the_newest_packets_wait() -> None:
    peer = Wire().peer()
    packets = [str(number).encode() for number in range(MOST_STAGED + 10)]
    for packet in packets:
        peer.stage(packet)
    assert list(peer.staged) == packets[10:]
    assert peer.dropped == 10
    peer.drop_staged()
    assert peer.figures().dropped == MOST_STAGED + 10


def test_the_figures_count_inner_packets() -> None:
    wire = Wire()
    packet = wire.send()
    wire.run(1.0)
    sent, got = wire.peer(0, 1).figures(), wire.peer(1, 0).figures()
    assert (sent.sent_packets, sent.sent_bytes) == (1, len(packet))
    assert (got.received_packets, got.received_bytes) == (1, len(packet))
    assert sent.last_handshake == pytest.approx(1000.1)
    assert got.last_handshake == pytest.approx(1000.15)
    assert got.last_received == pytest.approx(1000.15)


def test_no_secret_is_in_a_text() -> None:
    psk = secrets.token_bytes(32)
    wire = Wire(psk=psk)
    wire.send()
    wire.run(1.0)
    peer = wire.peer()
    text = f"{peer} {peer.current} {wire.nodes[0].device} {peer.figures()}"
    assert psk.hex() not in text
    assert peer.static_shared.hex() not in text


def test_a_keepalive_is_32_bytes_and_a_packet_is_padded() -> None:
    wire = Wire()
    wire.send()
    wire.run(1.0)
    peer = wire.peer()
    assert peer.current is not None
    assert len(peer.seal(peer.current, b"")) == 32
    assert len(peer.seal(peer.current, ipv4("10.0.0.1", "10.0.0.2", b""))) == 32 + 32
    assert peer.current.send_counter == 3
