# covers: bus/drivers/connection.py
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.bus.drivers import connection
from wayhouse.bus.drivers.router import HANDSHAKE_S, Router
from wayhouse.bus.drivers.watch import Watch
from wayhouse.bus.zmtp import commands
from wayhouse.bus.zmtp.mechanisms import Null
from wayhouse.bus.zmtp.session import SIGNATURE

GREETING = SIGNATURE + b"\3\1" + b"NULL".ljust(20, b"\0") + bytes(32)
LIMIT_S = 10.0


class House:
    """A router that this thread turns itself."""

    def __init__(self, endpoint="tcp://127.0.0.1:0"):
        self.watch = Watch()
        self.router = Router(self.watch, Null, 7.5)
        self.endpoint = self.router.listen(endpoint)
        self.context = zmq.Context()
        self.peers = []

    def turn(self, timeout_s=0.02):
        for handler, what in self.watch.wait(timeout_s):
            handler(what)
        self.router.flush()

    def until(self, is_so):
        end = time.monotonic() + LIMIT_S
        while not (found := is_so()):
            assert time.monotonic() < end, "it did not come to that"
            self.turn()
        return found

    def messages(self, count):
        self.until(lambda: len(self.router.received) >= count)
        found, self.router.received[:] = self.router.received[:], []
        return found

    def peer(self, kind=zmq.DEALER, **options):
        sock = self.context.socket(kind)
        sock.setsockopt(zmq.LINGER, 0)
        for name, value in options.items():
            sock.setsockopt(getattr(zmq, name), value)
        sock.connect(self.endpoint)
        self.peers.append(sock)
        return sock

    def raw(self, data=b""):
        if self.endpoint.startswith("ipc://"):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(self.endpoint.removeprefix("ipc://"))
        else:
            host, port = self.endpoint.removeprefix("tcp://").split(":")
            sock = socket.create_connection((host, int(port)))
        sock.sendall(data)
        sock.settimeout(0.01)
        return sock

    def heard(self, sock, ending=None, size=1 << 16):
        """What came until it ends so, or until the other side has closed."""
        found = bytearray()
        end = time.monotonic() + LIMIT_S
        while ending is None or not found.endswith(ending):
            assert time.monotonic() < end, found
            self.turn(0)
            try:
                data = sock.recv(size)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not data:
                break
            found += data
        return bytes(found)

    def close(self):
        self.context.destroy(linger=0)
        self.router.close()
        self.watch.close()


@pytest.fixture
def house():
    one = House()
    yield one
    one.close()


@contextmanager
def one_house(endpoint="tcp://127.0.0.1:0"):
    made = House(endpoint)
    try:
        yield made
    finally:
        made.close()


def ready(socket_type=b"DEALER", identity=b""):
    return commands.frame(
        commands.build(
            b"READY", commands.build_properties({b"Socket-Type": socket_type, b"Identity": identity})
        )
    )


@pytest.mark.usefixtures("moved_by")
@pytest.mark.parametrize("kind", [zmq.REQ, zmq.DEALER, zmq.ROUTER])
def test_libzmqs_sockets_speak_to_it(house, kind):
    peer = house.peer(kind)
    sent = [b"ignored"] if kind == zmq.REQ else [b"", b"ignored"]
    if kind == zmq.ROUTER:
        peer.close()
        peer = house.peer(kind, CONNECT_ROUTING_ID=b"house")
        sent = [b"house", *sent]
    peer.send_multipart(sent)
    [(who, *frames)] = house.messages(1)
    assert frames == [b"", b"ignored"]
    assert house.router.send([[who, b"", b"answer", b"x" * 100_000]]) == []
    house.until(lambda: peer.poll(0))
    assert peer.recv_multipart()[-2:] == [b"answer", b"x" * 100_000]


@pytest.mark.usefixtures("moved_by")
def test_messages_of_any_size_keep_their_order(house):
    peer = house.peer(SNDHWM=0, RCVHWM=0)
    sent = [[b"%d" % number, b"y" * (number * number)] for number in range(0, 2400, 60)]
    for message in sent:
        peer.send_multipart(message)
    got = house.messages(len(sent))
    assert [frames for _, *frames in got] == sent
    assert house.router.send(got) == []
    back = []
    house.until(lambda: peer.poll(0) and (back.append(peer.recv_multipart()) or len(back) == len(sent)))
    assert back == sent


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(1, 90), min_size=1, max_size=30))
def test_however_it_comes_it_is_understood(cuts):
    with one_house() as house:
        sock = house.raw()
        data = GREETING + ready() + b"\1\0\1\3one\0\3two" + commands.frame(b"\4PING\0\1context") + b"\0\2ok"
        for cut in [*cuts, len(data)]:
            sock.sendall(data[:cut])
            data = data[cut:]
            house.turn(0.001)
        assert [frames for _, *frames in house.messages(2)] == [[b"", b"one", b"two"], [b"ok"]]
        assert house.heard(sock, b"context").endswith(b"\4\x0c\4PONGcontext")
        sock.close()


def test_version_2_is_spoken_with_who_speaks_it(house):
    sock = house.raw(SIGNATURE + b"\1\5\0\0" + b"\1\0\0\2hi")
    [(who, *frames)] = house.messages(1)
    assert frames == [b"", b"hi"]
    house.router.send([[who, b"", b"x" * 300]])
    assert house.heard(sock, b"x" * 300) == SIGNATURE + b"\3\6\0\0" + b"\1\0\2" + (300).to_bytes(8, "big") + (
        b"x" * 300
    )
    sock.close()


def test_a_peer_may_choose_its_name_unless_it_is_taken(house):
    first, second = house.peer(IDENTITY=b"ann"), house.peer(IDENTITY=b"bob")
    first.send(b"1")
    second.send(b"2")
    assert sorted(house.messages(2)) == [[b"ann", b"1"], [b"bob", b"2"]]
    third = house.peer(IDENTITY=b"ann")
    third.send(b"3")
    [(who, _)] = house.messages(1)
    assert who[0] == 0
    assert len(who) == 5
    house.router.send([[b"ann", b"for ann"]])
    house.until(lambda: first.poll(0))
    assert not third.poll(50)


def test_who_has_gone_is_told_and_cannot_be_sent_to(house):
    peer = house.peer()
    peer.send(b"hello")
    [(who, _)] = house.messages(1)
    peer.close()
    assert house.until(lambda: house.router.gone) == [who]
    assert house.router.send([[who, b"x"], [b"nobody", b"y"]]) == [[who, b"x"], [b"nobody", b"y"]]
    assert house.router.peers() == []


def test_what_one_peer_does_not_read_is_bounded_and_holds_up_nobody(house, monkeypatch):
    monkeypatch.setattr(connection, "HIGH_WATER_BYTES", 1 << 20)
    slow, other = house.raw(GREETING + ready()), house.peer()
    slow.sendall(b"\0\4slow")
    other.send(b"other")
    who = {frames[1]: frames[0] for frames in house.messages(2)}
    taken = 0
    while not house.router.send([[who[b"slow"], taken.to_bytes(4, "big") + bytes(10_000)]]):
        taken += 1
        house.router.flush()
    assert house.router.send([[who[b"other"], b"quick"]]) == []
    house.until(lambda: other.poll(0))
    last = (taken - 1).to_bytes(4, "big") + bytes(10_000)
    got = house.heard(slow, last, 1 << 20)
    assert got.count(b"\2" + (10_004).to_bytes(8, "big")) == taken
    assert house.router.send([[who[b"slow"], b"again"]]) == []
    assert house.heard(slow, b"again").endswith(b"\0\5again")
    slow.close()


def test_what_all_together_do_not_read_is_bounded_too(house, monkeypatch):
    monkeypatch.setattr(connection, "BACKLOG_BYTES", 3 << 20)
    slow = [house.raw(GREETING + ready() + b"\0\4slow") for _ in range(4)]
    who = [frames[0] for frames in house.messages(4)]
    taken = dict.fromkeys(who, 0)
    for _ in range(2000):
        for one in who:
            taken[one] += not house.router.send([[one, bytes(10_000)]])
        house.router.flush()
    assert max(taken.values()) < 2000
    for sock, one in zip(slow, who, strict=True):
        sock.close()
        house.until(lambda one=one: one in house.router.gone)
    fresh = house.raw(GREETING + ready() + b"\0\4slow")
    [(one, _)] = house.messages(1)
    house.until(lambda: house.router.flush() or house.router.send([[one, bytes(1 << 20)]]))
    fresh.close()


def test_many_messages_for_one_who_does_not_read_are_bounded(house, monkeypatch):
    monkeypatch.setattr(connection, "HIGH_WATER", 100)
    slow = house.raw(GREETING + ready() + b"\0\4slow")
    [(who, _)] = house.messages(1)
    house.until(lambda: house.router.send([[who, bytes(60_000)]]) or house.router.flush())
    assert len(house.router.send([[who, b"x"]] * 200)) > 0
    slow.close()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        GREETING + ready(b"SUB"),
        GREETING + ready() + b"\x08\0",
        GREETING + ready() + b"\2" + b"\xff" * 8,
        GREETING + ready() + b"\4\1\5",
        GREETING + ready() + commands.frame(commands.build_error(b"no")),
        GREETING + b"\4\0",
    ],
)
def test_who_does_not_keep_to_the_protocol_is_closed(house, data):
    sock = house.raw(data)
    house.heard(sock)
    assert house.router.peers() == []
    assert house.router.received == []
    sock.close()


def test_commands_that_are_not_known_are_passed_over(house):
    sock = house.raw(GREETING + ready() + commands.frame(b"\3NEW") + b"\0\1x")
    assert house.messages(1)[0][1:] == [b"x"]
    sock.close()


def test_who_does_not_say_who_it_is_is_closed_in_time(house):
    silent, known = house.raw(GREETING[:20]), house.peer()
    known.send(b"hello")
    house.messages(1)
    due = house.until(house.router.deadline)
    assert 0 < due - time.monotonic() <= HANDSHAKE_S
    house.router.tick(due)
    house.heard(silent)
    assert house.router.deadline() is None
    assert len(house.router.peers()) == 1
    silent.close()


def test_the_end_sends_what_is_left(house):
    sock = house.raw(GREETING + ready() + b"\0\2hi")
    [(who, _)] = house.messages(1)
    house.router.send([[who, bytes(15_000_000)], [who, b"bye"]])
    house.router.flush()
    assert not house.router.end()
    found = bytearray()
    while not house.router.end():
        found += sock.recv(1 << 20)
    sock.settimeout(5)
    while data := sock.recv(1 << 20):
        found += data
    assert found.endswith(b"\0\3bye")
    sock.close()


def test_local_peers_are_not_turned_out(tmp_path):
    with one_house(f"ipc://{tmp_path}/bus.sock") as house:
        over_tcp = house.router.listen("tcp://127.0.0.1:0")
        local, far = house.peer(), house.context.socket(zmq.DEALER)
        far.connect(over_tcp)
        local.send(b"local")
        far.send(b"far")
        who = {frames[1]: frames[0] for frames in house.messages(2)}
        house.router.turn_out(lambda _: False)
        assert house.router.gone == [who[b"far"]]
        assert house.router.peers() == [who[b"local"]]
        far.close(linger=0)


CROWD = """
import resource, socket, time
from wayhouse.bus.drivers.router import Router
from wayhouse.bus.drivers.watch import Watch
from wayhouse.bus.zmtp.mechanisms import Null

resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
watch = Watch()
router = Router(watch, Null, 7.5)
host, port = router.listen("tcp://127.0.0.1:0").removeprefix("tcp://").split(":")

def turn(times=5):
    for _ in range(times):
        for handler, what in watch.wait(0.01):
            handler(what)

crowd = []
while router.deadline() is None or len(crowd) < 28:
    crowd.append(socket.create_connection((host, int(port))))
    turn()
while True:
    try:
        crowd.append(socket.create_connection((host, int(port))))
    except OSError:
        break
    turn()
for sock in crowd:
    sock.close()
turn(50)
router.tick(router.deadline() or 1.0)
router.tick(time.monotonic() + 20.0)
last = socket.create_connection((host, int(port)))
last.settimeout(5)
turn(20)
print(last.recv(11)[-1])
"""


def test_without_descriptors_left_it_waits_for_better_times():
    ended = subprocess.run(
        [sys.executable, "-c", CROWD], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stdout == "3\n", ended.stderr
    assert "no more peers are accepted for now" in ended.stderr
