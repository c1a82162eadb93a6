import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings as nacl

from wayhouse.bus.model import MalformedError
from wayhouse.bus.zmtp import commands
from wayhouse.bus.zmtp.curve import Curve
from wayhouse.bus.zmtp.mechanisms import RefusedError

SERVER_PUBLIC, SERVER_SECRET = nacl.crypto_box_keypair()
ANN_PUBLIC, ANN_SECRET = nacl.crypto_box_keypair()
DEALER = commands.build_properties({b"Socket-Type": b"DEALER"})


class Book:
    def plain(self, user, password):
        return None

    def curve(self, key):
        return "ann" if key == ANN_PUBLIC else None


class Peer:
    """A client of CURVE as the RFC has it; libzmq's is in the tests of the broker's socket."""

    def __init__(self, public=ANN_PUBLIC, secret=ANN_SECRET, server=SERVER_PUBLIC):
        self.public, self.secret, self.server = public, secret, server
        self.short, self.short_secret = nacl.crypto_box_keypair()
        self.number = 0

    def nonce(self):
        self.number += 1
        return self.number.to_bytes(8, "big")

    def hello(self):
        nonce = self.nonce()
        box = nacl.crypto_box(bytes(64), b"CurveZMQHELLO---" + nonce, self.server, self.short_secret)
        return b"\5HELLO\1\0" + bytes(72) + self.short + nonce + box

    def initiate(self, welcome, vouched=None):
        nonce, box = welcome[8:24], welcome[24:]
        inside = nacl.crypto_box_open(box, b"WELCOME-" + nonce, self.server, self.short_secret)
        self.theirs, cookie = inside[:32], inside[32:]
        said = vouched or self.short + self.server
        vouch = nacl.crypto_box(said, b"VOUCH---" + bytes(16), self.theirs, self.secret)
        nonce = self.nonce()
        box = nacl.crypto_box(
            self.public + bytes(16) + vouch + DEALER,
            b"CurveZMQINITIATE" + nonce,
            self.theirs,
            self.short_secret,
        )
        return b"\x08INITIATE" + cookie + nonce + box

    def message(self, inside):
        nonce = self.nonce()
        box = nacl.crypto_box(inside, b"CurveZMQMESSAGEC" + nonce, self.theirs, self.short_secret)
        return b"\7MESSAGE" + nonce + box

    def opened(self, body):
        return nacl.crypto_box_open(
            body[16:], b"CurveZMQMESSAGES" + body[8:16], self.theirs, self.short_secret
        )


def joined(**wishes):
    curve, peer = Curve(b"ROUTER", Book(), SERVER_SECRET), Peer(**wishes)
    curve.receive(peer.initiate(curve.receive(peer.hello())))
    return curve, peer


def test_who_is_known_is_let_in_and_all_is_sealed():
    curve, peer = joined()
    assert curve.properties == {b"socket-type": b"DEALER"}
    assert curve.key == ANN_PUBLIC
    assert curve.wrapping.open(peer.message(b"\1first")) == (commands.MORE, b"first")
    assert curve.wrapping.open(peer.message(b"\2\4PING")) == (commands.COMMAND, b"\4PING")
    sealed = curve.wrapping.seal([b"one", b"x" * 300])
    size = sealed[1]
    assert peer.opened(sealed[2 : 2 + size]) == b"\1one"
    assert peer.opened(sealed[2 + size + 9 :]) == b"\0" + b"x" * 300


def test_a_stranger_is_told_no():
    public, secret = nacl.crypto_box_keypair()
    with pytest.raises(RefusedError) as caught:
        joined(public=public, secret=secret)
    assert caught.value.answer == b"\5ERROR\x03400"


def test_a_stolen_name_is_of_no_use():
    """Ann's public key is known to many; without her secret one nobody can vouch for it."""
    with pytest.raises(RefusedError):
        joined(secret=nacl.crypto_box_keypair()[1])


def test_one_who_knows_another_server_key_is_refused():
    with pytest.raises(RefusedError):
        joined(server=nacl.crypto_box_keypair()[0])


def test_a_vouch_holds_for_its_connection_alone():
    curve, peer = Curve(b"ROUTER", Book(), SERVER_SECRET), Peer()
    with pytest.raises(RefusedError):
        curve.receive(peer.initiate(curve.receive(peer.hello()), vouched=bytes(32) + SERVER_PUBLIC))


def test_another_connections_cookie_is_refused():
    first, second, peer = (
        Curve(b"ROUTER", Book(), SERVER_SECRET),
        Curve(b"ROUTER", Book(), SERVER_SECRET),
        Peer(),
    )
    hello = peer.hello()
    second.receive(hello)
    initiate = peer.initiate(first.receive(hello))
    with pytest.raises(RefusedError):
        second.receive(initiate)


def test_a_message_is_taken_once():
    curve, peer = joined()
    message = peer.message(b"\0x")
    curve.wrapping.open(message)
    with pytest.raises(MalformedError):
        curve.wrapping.open(message)


@given(st.integers(0, 40), st.integers(1, 255))
def test_a_changed_message_is_told(place, change):
    curve, peer = joined()
    message = bytearray(peer.message(b"\0hello"))
    message[place % len(message)] ^= change
    with pytest.raises(MalformedError):
        curve.wrapping.open(bytes(message))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data):
    for command in (data, b"\5HELLO" + data, b"\x08INITIATE" + data):
        with pytest.raises((MalformedError, RefusedError)):
            Curve(b"ROUTER", Book(), SERVER_SECRET).receive(command)
    curve, peer = Curve(b"ROUTER", Book(), SERVER_SECRET), Peer()
    curve.receive(peer.hello())
    with pytest.raises((MalformedError, RefusedError)):
        curve.receive(b"\x08INITIATE" + data)


def test_order_is_kept():
    curve, peer = joined()
    for again in (peer.hello(), b"\x08INITIATE" + bytes(200)):
        with pytest.raises(MalformedError):
            curve.receive(again)


def test_an_empty_message_is_told():
    curve, peer = joined()
    with pytest.raises(MalformedError):
        curve.wrapping.open(peer.message(b""))
