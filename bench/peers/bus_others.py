"""Brokers of others for the bus's benchmark: the guide's design in C, and NATS with ends that write its protocol themselves.

`bench.bus` starts the brokers by `command`; the ends of NATS are `python -m bench.peers.bus_others worker|client nats <port> [<window>
<size>]`, which behave as those of `bench.peers.bus` do. They talk to the socket directly, as one loop over what has come, since a client
library would cost more than the broker that is to be measured.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).with_name("mdp_broker.c")
SUBJECT = b"echo"


def missing(kind: str) -> str:
    """What is not on this machine, for a line in the table; empty if all is."""
    if kind == "c" and (shutil.which("cc") is None or not Path("/usr/include/czmq.h").exists()):
        return "a C compiler and libczmq-dev"
    return "nats-server" if kind == "nats" and shutil.which("nats-server") is None else ""


def command(kind: str, port: str, folder: Path) -> list[str]:
    """How to start the broker; what has to be built is put into `folder`."""
    if kind == "nats":
        return ["nats-server", "-a", "127.0.0.1", "-p", port]
    program = folder / SOURCE.stem
    if not program.exists():
        subprocess.run(["cc", "-O2", "-o", str(program), str(SOURCE), "-lczmq", "-lzmq"], check=True)
    return [str(program), port]


class Nats:
    """One connection. A message is `MSG <subject> <sid> [<reply>] <size>`, its body and a line's end."""

    def __init__(self, port: int) -> None:
        self._socket = connect(port)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.put(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
        self._rest = b""

    def put(self, lines: bytes) -> None:
        self._socket.sendall(lines)

    def subscribe(self, subject: bytes) -> None:
        """Returns when the server has it."""
        self.put(b"SUB %s 1\r\nPING\r\n" % subject)
        while b"PONG\r\n" not in self._rest:
            self._rest += self._socket.recv(65536)
        self._rest = self._rest.partition(b"PONG\r\n")[2]

    def messages(self) -> Iterator[tuple[bytes, bytes]]:
        """(where to reply, body) of each message that one read brings, if it brings any."""
        data, at = self._rest + self._socket.recv(1 << 20), 0
        while (end := data.find(b"\r\n", at)) >= 0:
            words = data[at:end].split()
            if words[0] == b"MSG":
                size, begin = int(words[-1]), end + 2
                if len(data) < begin + size + 2:
                    break
                yield words[3] if len(words) == 5 else b"", data[begin : begin + size]
                end = begin + size
            elif words[0] == b"PING":
                self.put(b"PONG\r\n")
            at = end + 2
        self._rest = data[at:]


def worker(port: int) -> None:
    nats = Nats(port)
    nats.subscribe(SUBJECT)
    print("ready", flush=True)
    while True:
        nats.put(
            b"".join(b"PUB %s %d\r\n%s\r\n" % (reply, len(body), body) for reply, body in nats.messages())
        )


def client(port: int, window: int, size: int) -> None:
    nats, inbox = Nats(port), b"inbox.%d" % os.getpid()
    nats.subscribe(inbox)
    request = b"PUB %s %s %d\r\n%s\r\n" % (SUBJECT, inbox, size, b"x" * size)
    _calls(nats, request, window, window)
    print("ready", flush=True)
    for line in sys.stdin:
        begun, cpu = time.perf_counter(), time.process_time()
        _calls(nats, request, window, int(line))
        print(json.dumps([time.perf_counter() - begun, time.process_time() - cpu]), flush=True)


def _calls(nats: Nats, request: bytes, window: int, count: int) -> None:
    sent, answered = min(window, count), 0
    nats.put(request * sent)
    while answered < count:
        came = sum(1 for _ in nats.messages())
        answered += came
        more = min(came, count - sent)
        sent += more
        nats.put(request * more)


def connect(port: int) -> socket.socket:
    """The server has no sign of being ready but that it accepts."""
    give_up_at = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)


def main() -> None:
    role, _, port, *rest = sys.argv[1:]
    if role == "worker":
        worker(int(port))
    else:
        client(int(port), int(rest[0]), int(rest[1]))


if __name__ == "__main__":
    main()
