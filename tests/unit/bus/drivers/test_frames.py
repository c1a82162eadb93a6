"""Whole messages in and out of sockets."""

from __future__ import annotations

import pytest
import zmq

from wayhouse.bus.drivers.frames import BATCH, drain, is_readable, receive, send


def test_messages_go_out_and_come_in_whole() -> None:
    with zmq.Context() as context, context.socket(zmq.PAIR) as here, context.socket(zmq.PAIR) as there:
        here.bind("inproc://frames")
        there.connect("inproc://frames")
        assert receive(there) is None
        assert not is_readable(there)
        assert send(here, [b"a", b"", b"c"])
        assert is_readable(there)
        assert receive(there) == [b"a", b"", b"c"]
        for _ in range(BATCH + 1):
            send(here, [b"x"])
        assert len(list(drain(there))) == BATCH
        assert len(list(drain(there))) == 1


def test_a_full_pipe_and_a_peer_that_is_gone_are_told_apart() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, context.socket(zmq.DEALER) as dealer:
        router.router_mandatory = 1
        router.sndhwm = dealer.rcvhwm = 2
        dealer.routing_id = b"peer"
        router.bind("inproc://full")
        dealer.connect("inproc://full")
        dealer.send(b"hello")
        router.recv_multipart()
        sent = 0
        while send(router, [b"peer", b"x", b"y"]):
            sent += 1
        assert 0 < sent <= 4
        assert receive(dealer) == [b"x", b"y"]
        with pytest.raises(LookupError):
            send(router, [b"nobody", b"x"])
        with pytest.raises(zmq.ZMQError):
            send(context.socket(zmq.PULL), [b"x"])
        context.destroy(linger=0)
