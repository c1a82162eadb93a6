"""Connections over real sockets: non-blocking and blocking, cut off, stalled, refused, handed on."""
# covers: runtime/rpc/message_queue.py, runtime/rpc/blocking.py, runtime/rpc/stream_sockets.py, runtime/deadline.py

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.runtime.connection import BlockingConnection, Connection, find_free_port
from wayhouse.runtime.deadline import Deadline
from wayhouse.runtime.exceptions import (
    ConnectionAgain,
    ConnectionClosed,
    ConnectionInProgress,
    ConnectionRefused,
    ConnectionTimeout,
    FrameTooLong,
)
from wayhouse.runtime.rpc import stream_sockets
from wayhouse.runtime.rpc.payload import make_frame


@pytest.fixture
def pair() -> Iterator[tuple[Connection, BlockingConnection]]:
    """A non-blocking end and a blocking end, over TCP."""
    sock, port = find_free_port()
    listener = Connection(("", port), sock)
    client = BlockingConnection(("", port))
    client.connect(5)
    server = listener.accept()
    yield server, client
    for connection in (listener, server, client):
        connection.close()


def fill(connection: Connection) -> int:
    total = 0
    try:
        while True:
            total += connection.write(b"x" * 65536)
    except ConnectionAgain:
        return total


@pytest.mark.parametrize(
    "address", ["host", ("h",), ("h", "1"), (1, 1), ("h", 0), ("h", 70000), None, ("h", True)]
)
def test_an_address_is_host_and_port(address) -> None:
    with pytest.raises(Exception, match=r"address|port"):
        Connection(address)


def test_messages_go_both_ways(pair) -> None:
    server, client = pair
    assert server.put("åäö") == "åäö"
    assert client.get(5) == "åäö".encode()
    assert client.put(b"one", 5) == b"one"
    assert client.put("", 5) == ""
    assert [wait_get(server), wait_get(server)] == [b"one", b""]
    assert server.get() is None
    assert server.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def wait_get(connection: Connection) -> bytes:
    while (payload := connection.get()) is None:
        select.select([connection], [], [], 5)
    return payload


def test_a_big_message_goes_in_parts_and_is_not_mixed_with_the_next(pair) -> None:
    server, client = pair
    big = os.urandom(9_000_000)
    assert server.put(big) is None
    assert server.put(b"ignored while a part is kept") is None
    received = bytearray()
    client.socket.setblocking(True)
    while len(received) < len(big) + 4:
        received += client.socket.recv(1 << 20)
        server.put(b"") if server.carried()[1] else None
    assert received[4:] == big


def test_fix_again_does_not_escape_from_put(pair) -> None:
    server, _ = pair
    fill(server)
    assert server.put(b"x") is None
    assert server.put(b"x") is None


def test_fix_an_empty_frame_does_not_wedge_the_connection(pair) -> None:
    server, client = pair
    client.write(b"\0\0\0\0\0\0\0\x02ok", 5)
    assert [wait_get(server), wait_get(server)] == [b"", b"ok"]


def test_a_frame_over_the_limit_is_refused(pair) -> None:
    server, client = pair
    server.set_max_frame(100)
    client.write(b"\0\0\0\x65", 5)
    select.select([server], [], [], 5)
    for _ in range(2):
        with pytest.raises(FrameTooLong):
            server.get()


def test_the_end_of_the_peer_is_noticed(pair) -> None:
    server, client = pair
    client.write(b"\0\0\0\x09half", 5)
    client.close()
    with pytest.raises(ConnectionClosed):
        wait_get(server)
    with pytest.raises(ConnectionClosed):
        client.get(5)
    with pytest.raises(ConnectionClosed):
        client.poll(select.POLLIN, 0)
    assert client.fileno() == -1
    server.close()
    with pytest.raises(ConnectionClosed):
        server.put(b"x")


def test_a_soft_close_leaves_the_connection_to_other_holders(pair) -> None:
    server, client = pair
    heir = Connection(None, socket.socket(fileno=os.dup(server.fileno())))
    heir.socket.setblocking(False)
    server.close(hard=False)
    heir.put(b"still here")
    assert client.get(5) == b"still here"
    heir.close()


def test_a_successor_goes_on_in_the_middle_of_frames(pair) -> None:
    server, client = pair
    client.write(b"\0\0\0\x06abc", 5)
    select.select([server], [], [], 5)
    assert server.get() is None
    big = b"y" * 9_000_000
    assert server.put(big) is None
    read, unsent = server.carried()
    heir = Connection(None, socket.socket(fileno=os.dup(server.fileno())))
    heir.socket.setblocking(False)
    heir.carry_on(read, unsent)
    server.close(hard=False)
    client.write(b"def", 5)
    assert wait_get(heir) == b"abcdef"
    received = bytearray()
    while len(received) < len(big) + 4:
        heir.put(b"") if heir.carried()[1] else None
        select.select([client], [], [], 5)
        received += client.socket.recv(1 << 20)
    assert received == b"\x00\x89\x54\x40" + big
    heir.close()


def test_keepalive_and_buffers(pair) -> None:
    server, client = pair
    assert client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 5
    assert server.set_buf_sizes(20_000, 20_000) == server.get_buf_sizes() == (40_000, 40_000)


def test_a_timeout_is_one_deadline_and_loses_nothing(pair) -> None:
    server, client = pair
    server.write(b"\0\0\0\x06abc")
    with pytest.raises(ConnectionTimeout):
        client.get(0.02)
    server.write(b"def")
    assert client.get(5) == b"abcdef"
    server.write(b"ab")
    with pytest.raises(ConnectionTimeout):
        client.read(4, 0.02)
    server.write(b"cd")
    assert client.read(4, 5) == b"abcd"


def test_fix_a_write_that_trickles_still_meets_its_deadline(pair) -> None:
    """The original's deadline did not shrink: a peer that takes a little now and then kept it writing for ever."""
    server, client = pair

    def sip() -> None:
        for _ in range(40):
            time.sleep(0.01)
            with contextlib.suppress(ConnectionAgain):
                server.read(50_000)

    drinker = threading.Thread(target=sip)
    drinker.start()
    begun = time.monotonic()
    with pytest.raises(ConnectionTimeout):
        client.write(b"z" * 60_000_000, 0.2)
    drinker.join()
    assert time.monotonic() - begun < 5


def test_an_unfinished_put_is_finished_before_the_next(pair) -> None:
    server, client = pair
    first, second = b"1" * 6_000_000, b"2"
    with pytest.raises(ConnectionTimeout):
        client.put(first, 0.02)
    assert server.get() is None
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.extend([wait_get(server), wait_get(server)]))
    reader.start()
    assert client.put(second, 10) == second
    reader.join(10)
    assert found == [first, second]


def test_nobody_listens() -> None:
    sock, port = find_free_port(listen=False)
    with sock:
        client = BlockingConnection(("", port))
        with pytest.raises(ConnectionRefused):
            client.connect(5)
        with pytest.raises(ConnectionTimeout):
            client.connect(0.05, optimist=True)


def test_an_optimist_waits_until_the_peer_listens() -> None:
    sock, port = find_free_port(listen=False)
    with sock:
        client = BlockingConnection(("", port))
        later = threading.Timer(0.05, sock.listen)
        later.start()
        client.connect(10, optimist=True)
        later.join()
        client.close()


def test_a_non_blocking_connect_goes_on_until_it_is_there() -> None:
    sock, port = find_free_port()
    with sock:
        client = Connection(("127.0.0.1", port))
        for _ in range(3):
            try:
                client.connect()
            except ConnectionInProgress:
                select.select([], [client], [], 5)
            else:
                break
        assert client.put(b"x") == b"x"
        assert client.port == port
        client.close()


def test_accept_waits_and_refuses(tmp_path) -> None:
    path = str(tmp_path / "sock")
    listener = BlockingConnection(path)
    listener.listen()
    with pytest.raises(ConnectionTimeout):
        listener.accept(0.01)
    client = Connection(path)
    client.connect()
    server = listener.accept(5)
    assert type(server) is BlockingConnection
    assert type(Connection(None, client.socket)) is Connection
    server.put("hi", 5)
    assert wait_get(client) == b"hi"
    listener.close()
    with pytest.raises(ConnectionClosed):
        listener.accept(0.01)
    with pytest.raises(Exception, match="address"):
        Connection(None)
    client.close()
    server.close()
    with pytest.raises(ConnectionRefused):
        Connection(path).connect()


def test_listen_takes_an_address_and_fails_when_it_is_taken() -> None:
    sock, port = find_free_port()
    with sock, pytest.raises(OSError, match="in use"):
        Connection(("", port)).listen()


def test_poll_answers_an_empty_list_when_nothing_happens(pair) -> None:
    server, client = pair
    assert client.poll(select.POLLIN, 0.01) == []
    server.put(b"x")
    assert client.poll(select.POLLIN, 5) == [(client.fileno(), select.POLLIN)]


def test_a_connection_to_oneself_is_noticed() -> None:
    """A loop that connects to a port of the ephemeral range may be given that port as its own."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        assert stream_sockets.connected_to_itself(sock)


def test_the_kernel_knows_who_is_there() -> None:
    left, right = socket.socketpair()
    with left, right:
        assert stream_sockets.peer_credentials(left) == (os.getpid(), os.getuid(), os.getgid())
    with socket.socket() as tcp, pytest.raises(ValueError, match="UNIX"):
        stream_sockets.peer_credentials(tcp)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(1, 60), min_size=1, max_size=10))
def test_any_cutting_gives_the_same_messages_and_reads_no_further(payloads, cuts) -> None:
    wire = b"".join(make_frame(payload) for payload in payloads)
    left, right = socket.socketpair()
    with left, right:
        right.setblocking(False)
        found, at, turn, reader = [], 0, 0, Connection(None, right)
        while at < len(wire):
            at += left.send(wire[at : at + cuts[turn % len(cuts)]])
            turn += 1
            while (payload := reader.get()) is not None:
                found.append(payload)
            heir = Connection(None, right)
            heir.carry_on(*reader.carried())
            reader = heir
        assert found == payloads


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_fuzz_no_bytes_do_more_than_close_a_connection(data) -> None:
    left, right = socket.socketpair()
    with left, right:
        right.setblocking(False)
        reader = Connection(None, right)
        reader.set_max_frame(20)
        left.sendall(data)
        left.shutdown(socket.SHUT_WR)
        with pytest.raises((ConnectionClosed, FrameTooLong)):
            [reader.get() for _ in range(100)]


def test_find_free_port_is_local_and_gives_up() -> None:
    sock, port = find_free_port()
    with sock:
        assert sock.getsockname() == ("127.0.0.1", port)
        with pytest.raises(Exception, match="no free port"):
            find_free_port(port, port)


def test_a_deadline_shrinks() -> None:
    assert Deadline(None).left_ms() is None
    assert not Deadline(None).passed()
    assert Deadline(-1).passed()
    assert Deadline(0).left_ms() == 0
    assert 0 < (Deadline(5).left_ms() or 0) <= 5000
