"""Whole messages in and out of a ZeroMQ socket, without blocking, and from and to the bytes of its protocol: the hot path of every driver
of the bus.

Called by the drivers of the broker, the clone, Titanic, clients and workers. The work is done by the compiled mover where there is one, else
by its pure twin; `IS_COMPILED` says which. Rule: nobody but who tunes sizes may care.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

import zmq

from wayhouse.bus.drivers import frames_compiled, frames_pure, zmtp_pure

AnySocket = zmq.Socket[bytes]

BATCH = 256
"""Messages taken from one socket before the others and the clock get their turn."""
BATCH_BYTES = 1 << 20
"""What is taken at once ends with the message that reaches this, so that a batch of huge ones is not in memory together."""

_mover = frames_compiled.load()
IS_COMPILED = _mover is not None
receive_many = frames_pure.receive_many if _mover is None else _mover.receive_many
send_many = frames_pure.send_many if _mover is None else _mover.send_many
is_readable = frames_pure.is_readable if _mover is None else _mover.is_readable
decode = zmtp_pure.decode if _mover is None else _mover.decode
encode = zmtp_pure.encode if _mover is None else _mover.encode


def receive(socket: AnySocket) -> list[bytes] | None:
    """The next message, None when there is none."""
    found: list[list[bytes]] = []
    receive_many(socket, found, 1, 1)
    return found[0] if found else None


def drain(socket: AnySocket) -> Iterator[list[bytes]]:
    """At most `BATCH` messages; who stops before the end loses some of them."""
    left = BATCH
    while left > 0:
        found: list[list[bytes]] = []
        is_empty = receive_many(socket, found, left, BATCH_BYTES)
        yield from found
        if is_empty:
            return
        left -= len(found)


def send(socket: AnySocket, frames: list[bytes]) -> bool:
    """False, and nothing is sent, when the pipe is full. Raises `LookupError` for a peer that a mandatory ROUTER does not know."""
    missed = send_many(socket, [frames], 0)
    if missed is not None and missed[1] == errno.EHOSTUNREACH:
        raise LookupError("this peer has gone")
    return missed is None


def send_all(socket: AnySocket, messages: list[list[bytes]]) -> None:
    """In order; those that cannot be sent at once are dropped."""
    missed = send_many(socket, messages, 0)
    while missed is not None:
        missed = send_many(socket, messages, missed[0] + 1)
