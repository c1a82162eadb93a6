import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.access.known_peers import KnownPeers
from wayhouse.bus.drivers.security import KnownCredentials
from wayhouse.bus.model import MalformedError
from wayhouse.bus.zmtp import commands, session
from wayhouse.bus.zmtp.mechanisms import Null, Plain, RefusedError
from wayhouse.bus.zmtp.session import SIGNATURE, Session

GREETING = SIGNATURE + b"\3\1" + b"NULL".ljust(20, b"\0") + bytes(32)


def ready(socket_type=b"DEALER", identity=b""):
    properties = {b"Socket-Type": socket_type, b"Identity": identity}
    return commands.frame(commands.build(b"READY", commands.build_properties(properties)))


@given(st.lists(st.integers(1, 40), max_size=12))
def test_however_it_is_cut_the_connection_opens(sizes):
    one, data = Session(Null(b"ROUTER")), GREETING + ready(identity=b"ann") + b"\0\5hello"
    for size in [*sizes, len(data)]:
        one.receive(data[:size])
        data = data[size:]
    assert (one.is_open, one.is_old, one.identity, one.rest()) == (True, False, b"ann", b"\0\5hello")
    assert one.outbox().startswith(SIGNATURE + b"\3\0NULL" + bytes(16 + 32))


def test_the_version_is_told_first_and_the_rest_when_the_peers_is_known():
    one = Session(Null(b"ROUTER"))
    assert one.outbox() == SIGNATURE + b"\3"
    one.receive(GREETING[:11])
    assert len(one.outbox()) == 53
    one.receive(GREETING[11:])
    assert one.outbox() == commands.frame(Null(b"ROUTER").begin())


def test_version_2_is_spoken_with_who_speaks_it():
    one = Session(Null(b"ROUTER"))
    one.receive(SIGNATURE + b"\1\5\0\3ann" + b"\0\1x")
    assert (one.is_open, one.is_old, one.identity, one.rest()) == (True, True, b"ann", b"\0\1x")
    assert one.outbox() == SIGNATURE + b"\3" + b"\6\0\0"


@pytest.mark.parametrize("received", [b"GET / HTTP/1.1\r\n", b"\xff" + bytes(8) + b"\x7e\3", b"\1\0hello"])
def test_other_protocols_are_told(received):
    with pytest.raises(MalformedError):
        Session(Null(b"ROUTER")).receive(received)


@pytest.mark.parametrize(
    "received",
    [
        GREETING.replace(b"NULL", b"PLAI"),
        GREETING + ready(b"SUB"),
        GREETING + ready(b""),
        SIGNATURE + b"\1\2\0\0",
    ],
)
def test_who_wants_something_else_is_refused(received):
    with pytest.raises(RefusedError):
        Session(Null(b"ROUTER")).receive(received)


def test_a_wrong_socket_is_told_why():
    one = Session(Null(b"ROUTER"))
    with pytest.raises(RefusedError):
        one.receive(GREETING + ready(b"SUB"))
    assert one.outbox().endswith(b"\5ERROR\x13Invalid socket type")


@pytest.mark.parametrize(
    "received",
    [
        GREETING + b"\0\1x",
        GREETING + b"\6" + b"\xff" * 8,
        GREETING + commands.frame(commands.build_error(b"no")),
        GREETING + ready(identity=b"\0ann"),
        GREETING + ready(identity=b"x" * 256),
        GREETING + commands.frame(commands.build(b"HELLO")),
    ],
)
def test_what_does_not_belong_there_is_told(received):
    with pytest.raises(MalformedError):
        Session(Null(b"ROUTER")).receive(received)


def test_version_2_is_no_way_around_passwords():
    with pytest.raises(RefusedError):
        Session(Plain(b"ROUTER", KnownCredentials(KnownPeers()))).receive(SIGNATURE + b"\1\5\0\0")


def test_what_a_stranger_can_have_us_keep_is_bounded():
    one = Session(Null(b"ROUTER"))
    one.receive(GREETING)
    with pytest.raises(MalformedError):
        one.receive(
            b"\6" + (session.MAX_COMMAND - 9).to_bytes(8, "big") + bytes(session.MAX_COMMAND + 1 - 9 + 1000)
        )


@given(st.lists(st.one_of(st.binary(max_size=90), st.just(GREETING), st.just(ready())), max_size=4))
def test_no_bytes_do_anything_else(received):
    one = Session(Null(b"ROUTER"))
    for data in received:
        try:
            one.receive(data)
        except (MalformedError, RefusedError):
            break
