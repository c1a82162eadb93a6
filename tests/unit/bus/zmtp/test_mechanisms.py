import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.access.known_peers import KnownPeers
from wayhouse.bus.drivers.security import KnownCredentials
from wayhouse.bus.model import MalformedError
from wayhouse.bus.zmtp import commands
from wayhouse.bus.zmtp.mechanisms import Null, Plain, RefusedError

DEALER = commands.build_properties({b"Socket-Type": b"DEALER"})
KNOWN = KnownCredentials(KnownPeers(plain={"ann": "secret"}))


def hello(user, password):
    return commands.build(b"HELLO", bytes([len(user)]) + user + bytes([len(password)]) + password)


def test_null_tells_of_itself_and_takes_the_peers_word():
    null = Null(b"ROUTER")
    assert null.begin() == b"\5READY\x0bSocket-Type\0\0\0\6ROUTER\x08Identity\0\0\0\0"
    assert null.receive(commands.build(b"READY", DEALER)) == b""
    assert null.properties == {b"socket-type": b"DEALER"}
    assert null.wrapping is None


def test_plain_lets_in_who_is_known():
    plain = Plain(b"ROUTER", KNOWN)
    assert plain.begin() == b""
    assert plain.receive(hello(b"ann", b"secret")) == b"\7WELCOME"
    assert plain.properties is None
    assert plain.receive(commands.build(b"INITIATE", DEALER)).startswith(b"\5READY")
    assert plain.properties == {b"socket-type": b"DEALER"}


@pytest.mark.parametrize(
    ("user", "password"), [(b"ann", b"other"), (b"bob", b"secret"), (b"", b""), (b"\xff", b"secret")]
)
def test_plain_refuses_all_others_and_says_no_more(user, password):
    with pytest.raises(RefusedError) as caught:
        Plain(b"ROUTER", KNOWN).receive(hello(user, password))
    assert caught.value.answer == b"\5ERROR\x03400"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "command",
    [
        commands.build(b"INITIATE", DEALER),
        commands.build(b"READY", DEALER),
        b"\5HELLO\xffann",
        b"\5HELLO\3ann",
        hello(b"ann", b"secret") + b"x",
    ],
)
def test_plain_goes_by_its_order(command):
    with pytest.raises(MalformedError):
        Plain(b"ROUTER", KNOWN).receive(command)


@given(st.lists(st.one_of(st.binary(max_size=80), st.just(hello(b"ann", b"secret"))), max_size=4))
def test_nobody_gets_in_by_chance(received):
    plain = Plain(b"ROUTER", KNOWN)
    for command in received:
        try:
            plain.receive(command)
        except (MalformedError, RefusedError):
            break
    assert plain.properties is None or received[0] == hello(b"ann", b"secret")
