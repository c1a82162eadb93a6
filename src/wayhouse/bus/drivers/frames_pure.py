"""Whole messages in and out of a ZeroMQ socket with nothing but pyzmq: what `frames` uses where nothing was compiled.

The twin of `native/frames.c`, with the same tests. Rule: pyzmq's backend is called with plain ints, which is nine times faster than
`send_multipart` for four frames.
"""

from __future__ import annotations

import errno

import zmq
from zmq.backend import Socket as Backend
from zmq.backend import zmq_poll

_NOW, _NOW_MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK) | int(zmq.SNDMORE)
_IN = int(zmq.POLLIN)
_receive, _send = Backend.recv, Backend.send


def receive_many(socket: zmq.Socket[bytes], into: list[list[bytes]], most: int, most_bytes: int) -> bool:
    """Append what is there to `into`: at most `most` messages, none any more once there are `most_bytes`. Whether the socket was found
    empty, which is found out by trying."""
    size = 0
    for _ in range(most):
        try:
            part = _receive(socket, _NOW, False)
        except zmq.Again:
            return True
        frames = [part.bytes]
        while part.more:
            part = _receive(socket, _NOW, False)
            frames.append(part.bytes)
        into.append(frames)
        size += sum(map(len, frames))
        if size >= most_bytes:
            break
    return False


def send_many(socket: zmq.Socket[bytes], messages: list[list[bytes]], start: int) -> tuple[int, int] | None:
    """Send `messages` from `start` on. The place of the first that could not be sent, of which nothing was, with EAGAIN (the pipe is
    full) or EHOSTUNREACH (a mandatory ROUTER does not know that peer); None when all were."""
    for place in range(start, len(messages)):
        frames = messages[place]
        try:
            for frame in frames[:-1]:
                _send(socket, frame, _NOW_MORE)
            _send(socket, frames[-1], _NOW)
        except zmq.Again:
            return place, errno.EAGAIN
        except zmq.ZMQError as error:
            if error.errno == errno.EHOSTUNREACH:
                return place, errno.EHOSTUNREACH
            raise
    return None


def is_readable(socket: zmq.Socket[bytes]) -> bool:
    """Whether a message is there, in an open socket. To poll one socket for no time costs half of asking for its `EVENTS`, whose option pyzmq looks up as an
    enum."""
    return bool(zmq_poll([(socket, _IN)], 0))
