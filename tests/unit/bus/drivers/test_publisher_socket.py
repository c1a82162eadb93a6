import time

import pytest
import zmq

from wayhouse.access.known_peers import KnownPeers
from wayhouse.bus.drivers import connection, publisher_socket
from wayhouse.bus.drivers.publisher_socket import PublisherSocket
from wayhouse.bus.drivers.security import KnownCredentials, Security
from wayhouse.bus.drivers.watch import Watch
from wayhouse.bus.zmtp.mechanisms import Null

LIMIT_S = 10.0


class House:
    """A publisher that this thread turns itself."""

    def __init__(self, mechanism=Null):
        self.watch = Watch()
        self.publisher = PublisherSocket(self.watch, mechanism, 7.5)
        self.endpoint = self.publisher.router.listen("tcp://127.0.0.1:0")
        self.context = zmq.Context()
        self.peers = []
        self.heard = []

    def turn(self):
        for handler, what in self.watch.wait(0.02):
            handler(what)
        self.publisher.hear()
        self.publisher.router.flush()
        self.heard += self.publisher.subscriptions
        self.publisher.subscriptions.clear()

    def until(self, is_so):
        end = time.monotonic() + LIMIT_S
        while not is_so():
            assert time.monotonic() < end, "it did not come to that"
            self.turn()

    def subscriber(self, *topics, options=()):
        sock = self.context.socket(zmq.SUB)
        sock.setsockopt(zmq.LINGER, 0)
        for option, value in options:
            sock.setsockopt(option, value)
        for topic in topics:
            sock.subscribe(topic)
        sock.connect(self.endpoint)
        self.peers.append(sock)
        before = len(self.heard)
        self.until(lambda: len(self.heard) >= before + len(topics))
        return sock

    def got(self, sock, count):
        found = []
        self.until(lambda: sock.poll(0) and (found.append(sock.recv_multipart()) or len(found) == count))
        assert not sock.poll(20)
        return found

    def close(self):
        self.context.destroy(linger=0)
        self.publisher.router.close()
        self.watch.close()


@pytest.fixture
def house():
    one = House()
    yield one
    one.close()


UPDATES = [[b"/device/a", b"1"], [b"/event/b", b"2" * 300], [b"/device/c", b""]]


@pytest.mark.usefixtures("moved_by")
def test_each_gets_what_begins_with_a_topic_of_its_own_in_order(house):
    all_of_it, device, two, none = (
        house.subscriber(b""),
        house.subscriber(b"/device/"),
        house.subscriber(b"/event/", b"/device/c"),
        house.subscriber(b"/nothing"),
    )
    house.publisher.publish(UPDATES)
    assert house.got(all_of_it, 3) == UPDATES
    assert house.got(device, 2) == [UPDATES[0], UPDATES[2]]
    assert house.got(two, 2) == UPDATES[1:]
    assert not none.poll(0)


def test_all_that_begins_and_ends_is_told(house):
    one = house.subscriber(b"/a", b"/b")
    assert sorted(house.heard) == [b"\1/a", b"\1/b"]
    one.unsubscribe(b"/a")
    house.until(lambda: b"\0/a" in house.heard)
    house.publisher.publish([[b"/a"], [b"/b"]])
    assert house.got(one, 1) == [[b"/b"]]
    one.close()
    house.until(lambda: b"\0/b" in house.heard)
    house.publisher.publish(UPDATES)


def test_an_end_of_nothing_is_passed_over(house):
    sock = house.context.socket(zmq.XSUB)
    house.peers.append(sock)
    sock.setsockopt(zmq.LINGER, 0)
    sock.connect(house.endpoint)
    sock.send(b"\0/never")
    sock.send(b"neither")
    sock.send_multipart([b"\1two", b"frames"])
    sock.send(b"\1/a")
    house.until(lambda: house.heard)
    assert house.heard == [b"\1/a"]


def test_who_subscribes_to_too_much_is_closed(house, monkeypatch):
    monkeypatch.setattr(publisher_socket, "MAX_TOPICS", 3)
    sock = house.context.socket(zmq.XSUB)
    house.peers.append(sock)
    sock.setsockopt(zmq.LINGER, 0)
    sock.setsockopt(zmq.RECONNECT_IVL, -1)
    sock.connect(house.endpoint)
    for number in range(5):
        sock.send(b"\1/%d" % number)
    house.until(lambda: len(house.heard) >= 4)
    house.until(lambda: house.publisher.router.peers() == [])
    assert sum(frame[:1] == b"\1" for frame in house.heard) == sum(
        frame[:1] == b"\0" for frame in house.heard
    )


def test_one_who_does_not_read_loses_what_is_too_much_and_no_other_does(house, monkeypatch):
    monkeypatch.setattr(connection, "HIGH_WATER_BYTES", 1 << 20)
    slow = house.subscriber(b"", options=[(zmq.RCVHWM, 1), (zmq.RCVBUF, 4096)])
    quick = house.subscriber(b"", options=[(zmq.RCVHWM, 0)])
    for number in range(300):
        house.publisher.publish([[b"/%d" % number, bytes(100_000)]])
        house.turn()
        while quick.poll(0):
            quick.recv_multipart()
    house.publisher.publish([[b"/last", b"x"]])
    house.until(lambda: quick.poll(0) and quick.recv_multipart() == [b"/last", b"x"])
    count = 0
    end = time.monotonic() + LIMIT_S
    while slow.poll(100) and time.monotonic() < end:
        slow.recv_multipart()
        count += 1
        house.turn()
    assert 0 < count < 300


def test_what_is_sealed_is_sealed_for_each():
    server_public, server_secret = zmq.curve_keypair()
    public, secret = zmq.curve_keypair()
    known = KnownCredentials(KnownPeers(curve={public.decode(): "ann"}))
    house = House(Security(mechanism="curve", secret_key=server_secret).door(known))
    options = [
        (zmq.CURVE_SERVERKEY, server_public),
        (zmq.CURVE_PUBLICKEY, public),
        (zmq.CURVE_SECRETKEY, secret),
    ]
    try:
        one, two = house.subscriber(b"", options=options), house.subscriber(b"/event/", options=options)
        house.publisher.publish(UPDATES)
        assert house.got(one, 3) == UPDATES
        assert house.got(two, 1) == [UPDATES[1]]
    finally:
        house.close()
