"""Whole messages in and out of a ZeroMQ socket, without blocking and without enums: the hot path of every driver of the bus.

Called by the drivers of the clone, clients and workers. Rule: pyzmq's backend is called with plain ints, which is nine times
faster than `send_multipart` for four frames.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence

import zmq
from zmq.backend import Socket as Backend
from zmq.backend import zmq_poll

AnySocket = zmq.Socket[bytes]

BATCH = 256
"""Messages taken from one socket before the others and the clock get their turn."""
_NOW, _NOW_MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK) | int(zmq.SNDMORE)
_IN = int(zmq.POLLIN)
_receive, _send = Backend.recv, Backend.send


def receive(socket: AnySocket) -> list[bytes] | None:
    """The next message, None when there is none."""
    try:
        part = _receive(socket, _NOW, False)
    except zmq.Again:
        return None
    frames = [part.bytes]
    while part.more:
        part = _receive(socket, _NOW, False)
        frames.append(part.bytes)
    return frames


def drain(socket: AnySocket) -> Iterator[list[bytes]]:
    """At most `BATCH` messages."""
    for _ in range(BATCH):
        if (frames := receive(socket)) is None:
            return
        yield frames


def send(socket: AnySocket, frames: Sequence[bytes]) -> bool:
    """False, and nothing is sent, when the pipe is full. Raises `LookupError` for a peer that a mandatory ROUTER does not know."""
    try:
        for frame in frames[:-1]:
            _send(socket, frame, _NOW_MORE)
        _send(socket, frames[-1], _NOW)
    except zmq.Again:
        return False
    except zmq.ZMQError as error:
        if error.errno == errno.EHOSTUNREACH:
            raise LookupError("this peer has gone") from None
        raise
    return True


def is_readable(socket: AnySocket) -> bool:
    """Polling one socket for no time costs half of asking for its `EVENTS`, whose option pyzmq looks up as an enum."""
    return bool(zmq_poll([(socket, _IN)], 0))
