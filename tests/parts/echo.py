"""UDP there and back, in a network namespace: `python -m tests.parts.echo serve <host>` answers everything; `... ask <host> <size> <count>
<timeout_s>` prints how many of `count` datagrams of `size` random bytes came back unchanged."""

from __future__ import annotations

import os
import socket
import sys

PORT = 4000


def open_for(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)


def serve(host: str) -> None:
    with open_for(host) as sock:
        sock.bind((host, PORT))
        print("ready", flush=True)  # noqa: T201 - a program
        while True:
            data, address = sock.recvfrom(65535)
            sock.sendto(data, address)


def ask(host: str, size: int, count: int, timeout_s: float) -> int:
    good = 0
    with open_for(host) as sock:
        sock.settimeout(timeout_s)
        sock.connect((host, PORT))
        for _ in range(count):
            data = os.urandom(size)
            try:
                sock.send(data)
                while sock.recv(65535) != data:
                    pass
                good += 1
            except OSError:
                continue
    return good


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        print(ask(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))  # noqa: T201 - a program
