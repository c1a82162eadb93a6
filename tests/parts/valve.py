"""A worker outside of the gateway that does something that can be counted: `python -m tests.parts.valve BROKER SERVICE FILE`.

Each command becomes a line of FILE, on disk before the answer goes out: a valve's position, or a token.
"""

from __future__ import annotations

import os
import sys

from wayhouse.bus.model import OK
from wayhouse.bus.worker import MajorDomoWorker


class Patient(MajorDomoWorker):
    """Beats often, so that a broker which was started anew soon tells it to register again, and is not given up between two beats of
    the broker's own."""

    HEARTBEAT_LIVENESS = 50


def main() -> None:
    broker, service, path = sys.argv[1:]
    worker = Patient(broker, service)
    worker.heartbeat = 200
    worker.reconnect = 100
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    reply: list[bytes] | None = None
    while (request := worker.recv(reply)) is not None:
        os.write(fd, request[-1] + b"\n")
        os.fdatasync(fd)
        reply = [request[-1], OK]


if __name__ == "__main__":
    main()
