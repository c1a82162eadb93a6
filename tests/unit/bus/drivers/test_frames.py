# covers: bus/drivers/frames_pure.py
"""Whole messages in and out of sockets, by the compiled mover and by its pure twin: the same tests hold for both."""

from __future__ import annotations

import errno
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.parts.bus_fuzz import Noise
from tests.parts.mover import BOTH, twin
from wayhouse.bus.drivers import frames
from wayhouse.bus.drivers.frames import BATCH, drain, is_readable, receive, send, send_all

HUGE = 1 << 40


@pytest.fixture(params=BOTH)
def mover(request: pytest.FixtureRequest) -> Any:
    return twin(request.param)


@pytest.fixture
def make() -> Iterator[Callable[[int], Any]]:
    """Makes sockets, and closes them all at the end: who forgets one waits for ever."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made = list[Any]()

    def one(kind: int) -> Any:
        made.append(context.socket(kind))
        made[-1].setsockopt(zmq.LINGER, 0)
        return made[-1]

    yield one
    for socket in made:
        socket.close()
    context.term()


@pytest.fixture
def pair(make: Callable[[int], Any]) -> tuple[Any, Any]:
    here, there = make(zmq.PAIR), make(zmq.PAIR)
    here.sndhwm = there.rcvhwm = 0
    here.bind("inproc://frames")
    there.connect("inproc://frames")
    return here, there


def routed(make: Callable[[int], Any], *, most: int = 1000) -> tuple[Any, Any]:
    """A mandatory ROUTER and a DEALER that it knows as `peer`."""
    router, dealer = make(zmq.ROUTER), make(zmq.DEALER)
    router.router_mandatory = 1
    router.sndhwm = dealer.rcvhwm = most
    dealer.routing_id = b"peer"
    router.bind("inproc://routed")
    dealer.connect("inproc://routed")
    dealer.send(b"hello")
    assert router.recv_multipart() == [b"peer", b"hello"]
    return router, dealer


def everything(mover: Any, socket: Any) -> list[list[bytes]]:
    found: list[list[bytes]] = []
    assert mover.receive_many(socket, found, 1 << 40, HUGE)
    return found


def test_messages_come_as_they_went(mover: Any, pair: tuple[Any, Any]) -> None:
    here, there = pair
    sent = [[b"a", b"", b"c"], [b""], [b"", b""], [bytes(20_000_000), b"x"], [b"%d" % n for n in range(3000)]]
    assert mover.send_many(here, sent, 0) is None
    assert everything(mover, there) == sent
    assert everything(mover, there) == []


def test_what_gives_its_bytes_as_a_buffer_is_a_frame(mover: Any, pair: tuple[Any, Any]) -> None:
    here, there = pair
    assert mover.send_many(here, [(bytearray(b"one"), memoryview(b"two"))], 0) is None
    assert everything(mover, there) == [[b"one", b"two"]]


def test_no_more_is_taken_than_was_asked_for(mover: Any, pair: tuple[Any, Any]) -> None:
    here, there = pair
    assert mover.send_many(here, [[b"x" * 100, b"%d" % n] for n in range(10)], 2) is None
    found: list[list[bytes]] = []
    assert mover.receive_many(there, found, 0, HUGE) is False
    assert mover.receive_many(there, found, 3, HUGE) is False
    assert mover.receive_many(there, found, 10, 150) is False
    assert [int(one[1]) for one in found] == [2, 3, 4, 5, 6]
    assert mover.receive_many(there, found, 4, HUGE) is True
    assert mover.is_readable(there) is False
    assert len(found) == 8


def test_a_full_pipe_ends_it_and_the_rest_can_be_sent_later(mover: Any, make: Any) -> None:
    router, dealer = routed(make, most=2)
    messages = [[b"peer", b"%d" % n, b""] for n in range(20)]
    place, why = mover.send_many(router, messages, 0)
    assert (0 < place <= 4, why) == (True, errno.EAGAIN)
    assert everything(mover, dealer) == [one[1:] for one in messages[:place]]
    while mover.send_many(router, messages, place) == (place, errno.EAGAIN):
        """libzmq looks only now and then whether there is room again."""
    assert everything(mover, dealer)[0] == messages[place][1:]


def test_a_peer_that_is_not_known_ends_it_and_others_can_go_on(mover: Any, make: Any) -> None:
    router, dealer = routed(make)
    messages = [[b"peer", b"1"], [b"nobody", b"2", b"2"], [b"peer", b"3"]]
    assert mover.send_many(router, messages, 0) == (1, errno.EHOSTUNREACH)
    assert mover.send_many(router, messages, 2) is None
    assert everything(mover, dealer) == [[b"1"], [b"3"]]


def test_sockets_that_cannot_are_told(mover: Any, make: Any, pair: tuple[Any, Any]) -> None:
    with pytest.raises(zmq.ZMQError) as wrong:
        mover.send_many(make(zmq.PULL), [[b"x"]], 0)
    assert wrong.value.errno == zmq.ENOTSUP
    here, _ = pair
    here.close()
    for use in (
        lambda: mover.send_many(here, [[b"x"]], 0),
        lambda: mover.receive_many(here, [], 1, HUGE),
    ):
        with pytest.raises(zmq.ZMQError) as closed:
            use()
        assert closed.value.errno == zmq.ENOTSOCK


def test_the_end_of_the_context_is_told(mover: Any) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.PULL)
    ender = threading.Thread(target=context.term)
    ender.start()
    with pytest.raises(zmq.ContextTerminated):  # noqa: PT012 - it ends a little later
        while mover.receive_many(socket, [], 1, HUGE):
            pass
    socket.close()
    ender.join()


@pytest.mark.parametrize("wrong", [[], ["text"], [None, b"x"], [1]])
def test_what_is_no_message_is_refused_and_costs_no_other(
    mover: Any, pair: tuple[Any, Any], wrong: Any
) -> None:
    here, there = pair
    with pytest.raises((IndexError, TypeError)):
        mover.send_many(here, [[b"before"], wrong, [b"never"]], 0)
    assert mover.send_many(here, [[b"after"]], 0) is None
    assert everything(mover, there) == [[b"before"], [b"after"]]


def test_hostile_messages_come_as_they_are(mover: Any, make: Any) -> None:
    router, dealer = routed(make, most=0)
    pool = Noise(3).pool
    for start in range(0, len(pool), 500):
        assert mover.send_many(dealer, pool[start : start + 500], 0) is None
        found = everything(mover, router)
        assert found == [[b"peer", *one] for one in pool[start : start + 500]]
        assert mover.send_many(router, found, 0) is None
        assert everything(mover, dealer) == pool[start : start + 500]


def test_nothing_is_kept(mover: Any, pair: tuple[Any, Any]) -> None:
    """A million messages through the compiled one, fewer through its slower twin."""
    here, there = pair
    head, body = b"head of the message", bytearray(b"y" * 200)
    messages = [[head, body] for _ in range(1000)]
    rounds = 20 if mover is twin("pure") else 1000
    before = sys.getrefcount(head), sys.getrefcount(body)
    for number in range(rounds):
        assert mover.send_many(here, messages, 0) is None
        if number % 50 == 0:
            assert mover.send_many(here, [[b"x"]] * 1000, 0) is None
        found = everything(mover, there)
        counts = sys.getrefcount(found[0]), sys.getrefcount(found[0][1])
        assert counts == (2, 2)
        del found
        if number == 2:
            gc.collect()
            resident = resident_mb()
    assert (sys.getrefcount(head), sys.getrefcount(body)) == before
    body.append(0)  # BufferError, if somebody still looked at it
    assert resident_mb() - resident < 10


def test_the_hot_path_takes_batches() -> None:
    with zmq.Context() as context, context.socket(zmq.PAIR) as here, context.socket(zmq.PAIR) as there:
        here.bind("inproc://frames")
        there.connect("inproc://frames")
        assert receive(there) is None
        assert not is_readable(there)
        assert send(here, [b"a", b"", b"c"])
        assert is_readable(there)
        assert receive(there) == [b"a", b"", b"c"]
        send_all(here, [[b"x"]] * (BATCH + 1))
        assert len(list(drain(there))) == BATCH
        assert len(list(drain(there))) == 1


def test_a_full_pipe_and_a_peer_that_is_gone_are_told_apart(make: Any) -> None:
    router, dealer = routed(make, most=2)
    sent = 0
    while send(router, [b"peer", b"x", b"y"]):
        sent += 1
    assert 0 < sent <= 4
    assert receive(dealer) == [b"x", b"y"]
    with pytest.raises(LookupError):
        send(router, [b"nobody", b"x"])


def test_what_cannot_be_sent_holds_up_nothing(make: Any) -> None:
    router, dealer = routed(make)
    send_all(router, [[b"nobody", b"1"], [b"peer", b"2"], [b"nobody", b"3"], [b"peer", b"4"]])
    assert list(drain(dealer)) == [[b"2"], [b"4"]]


def test_the_hot_path_is_one_of_the_twins() -> None:
    assert frames.IS_COMPILED is (frames.receive_many is not twin("pure").receive_many)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
