"""The manual's `connection` module: framed messages over TCP and UNIX sockets, and the handshake of wire v0.

`Connection` never waits, `BlockingConnection` waits with a deadline; both speak the same frames. Where the names live:
`message_queue`, `blocking`, `frames`, `payload`, `handshake`.
"""

from __future__ import annotations

import errno
import random
import socket as sockets

from wayhouse.runtime.rpc.blocking import BlockingConnection
from wayhouse.runtime.rpc.frames import LIMIT, Frames
from wayhouse.runtime.rpc.handshake import (
    CHALLENGE,
    finish_challenge,
    make_digest,
    make_salt,
    validate_digest,
)
from wayhouse.runtime.rpc.message_queue import Connection
from wayhouse.runtime.rpc.payload import Payload, make_frame, make_header
from wayhouse.runtime.rpc.stream_sockets import LOOPBACK, Address, Credentials, peer_credentials

__all__ = [
    "CHALLENGE",
    "LIMIT",
    "Address",
    "BlockingConnection",
    "Connection",
    "Credentials",
    "Frames",
    "Payload",
    "find_free_port",
    "finish_challenge",
    "make_digest",
    "make_frame",
    "make_header",
    "make_salt",
    "peer_credentials",
    "validate_digest",
]

ATTEMPTS = 20_000


def find_free_port(
    start: int = 49152,
    stop: int = 65536,
    listen: bool = True,  # noqa: FBT001, FBT002 - the manual's signature
    host: str = LOOPBACK,
) -> tuple[sockets.socket, int]:
    """A socket on a free port of `start` to `stop` (65535 at most), listening or only bound, and the port.

    No port is tried twice. Raises a bare `Exception` when none is free in 20,000 attempts.
    """
    ports = range(max(1, start), min(stop, 65535) + 1)
    for port in random.SystemRandom().sample(ports, min(ATTEMPTS, len(ports))):
        sock = sockets.socket(sockets.AF_INET6 if ":" in host else sockets.AF_INET, sockets.SOCK_STREAM)
        try:
            if listen:
                sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
            sock.bind((host, port))
            if listen:
                sock.listen(512)
        except OSError as error:
            sock.close()
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
        else:
            return sock, port
    raise Exception(f"found no free port from {start} to {stop} in {ATTEMPTS} attempts")  # noqa: TRY002
