"""Small things for looking into ZeroMQ sockets, under the names that the Guide's examples and RasPy's manual use.

Called by people at a prompt and by programs written after the manual; nothing of the bus needs them.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence

import zmq

from wayhouse.bus.drivers.frames import AnySocket

WIDTH = 70


def dump(msg_or_socket: Sequence[bytes] | AnySocket) -> None:
    """Print each frame of a message, or of the next that a socket receives (it blocks for it): its size, then text or hex."""
    frames = msg_or_socket.recv_multipart() if isinstance(msg_or_socket, zmq.Socket) else msg_or_socket
    lines = ["-" * 40, *(f"[{len(frame):03d}] {show(frame)}" for frame in frames)]
    sys.stdout.write("\n".join(lines) + "\n")


def show(frame: bytes) -> str:
    """Printable text as it is, anything else in hex; cut where a line ends."""
    try:
        text = bytes(frame).decode()
    except UnicodeDecodeError:
        text = ""
    if not (text.isprintable() and (text or not frame)):
        text = "0x" + bytes(frame).hex()
    return text if len(text) <= WIDTH else text[:WIDTH] + "..."


def set_id(zsocket: AnySocket) -> str:
    """Give the socket a random printable identity, `xxxx-xxxx`, before it connects; gives it back."""
    identity = f"{secrets.token_hex(2)}-{secrets.token_hex(2)}".upper()
    zsocket.setsockopt(zmq.ROUTING_ID, identity.encode())
    return identity


def zpipe(ctx: zmq.Context[AnySocket]) -> tuple[AnySocket, AnySocket]:
    """Two connected PAIR sockets, one for this thread and one for another: no linger, one message waits at most."""
    here, there = ctx.socket(zmq.PAIR), ctx.socket(zmq.PAIR)
    for socket in (here, there):
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 1)
        socket.setsockopt(zmq.RCVHWM, 1)
    address = f"inproc://{secrets.token_hex(8)}"
    here.bind(address)
    there.connect(address)
    return here, there
