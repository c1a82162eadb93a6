"""Ends of Majordomo that write ZMTP themselves, as those of NATS in `bench.peers.bus_others` write its protocol: so that two brokers are
compared, and not a client library with none.

`python -m bench.peers.zmtp_ends worker|client <kind> <port> [<window> <size>]`, which behave as those of `bench.peers.bus` do.
"""

from __future__ import annotations

import json
import socket
import sys
import time

from wayhouse.bus.drivers.frames import decode, encode
from wayhouse.bus.zmtp import commands
from wayhouse.bus.zmtp.session import SIGNATURE

GREETING = SIGNATURE + b"\3\1" + b"NULL".ljust(20, b"\0") + bytes(32)
DEALER = commands.frame(
    commands.build(commands.READY, commands.build_properties({b"Socket-Type": b"DEALER"}))
)
READY, REQUEST, REPLY, HEARTBEAT = b"\1", b"\2", b"\3", b"\4"
BEAT = encode([b"", b"MDPW01", HEARTBEAT], 0)
MOST = 1 << 30


class End:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.put(GREETING + DEALER)
        self._message: list[bytes] = [b""]
        self._rest = b""
        while len(self._rest) < 64:
            self._rest += self._socket.recv(4096)
        self._rest = self._rest[64:]

    def put(self, data: bytes) -> None:
        self._socket.sendall(data)

    def messages(self) -> list[list[bytes]]:
        """What one read brings, with an empty frame in front of each."""
        into: list[list[bytes] | bytes] = [self._message]
        data = self._rest + self._socket.recv(1 << 20)
        taken, _ = decode(data, into, MOST)
        self._rest = data[taken:]
        last = into.pop()
        assert isinstance(last, list)
        self._message = last
        return [one for one in into if isinstance(one, list)]


def worker(port: int) -> None:
    end = End(port)
    end.put(encode([b"", b"MDPW01", READY, b"echo"], 0))
    print("ready", flush=True)
    beat_at = time.monotonic() + 1
    while True:
        out = []
        for frames in end.messages():
            if frames[3] == REQUEST:
                frames[3] = REPLY
                out.append(encode(frames, 1))
        if time.monotonic() > beat_at:
            out.append(BEAT)
            beat_at = time.monotonic() + 1
        end.put(b"".join(out))


def client(port: int, window: int, size: int) -> None:
    end = End(port)
    request = encode([b"", b"MDPC01", b"echo", b"x" * size], 0)
    _calls(end, request, window, window)
    print("ready", flush=True)
    for line in sys.stdin:
        begun, cpu = time.perf_counter(), time.process_time()
        _calls(end, request, window, int(line))
        print(json.dumps([time.perf_counter() - begun, time.process_time() - cpu]), flush=True)


def _calls(end: End, request: bytes, window: int, count: int) -> None:
    sent, answered = min(window, count), 0
    end.put(request * sent)
    while answered < count:
        came = len(end.messages())
        answered += came
        more = min(came, count - sent)
        sent += more
        if more:
            end.put(request * more)


def main() -> None:
    role, _, port, *rest = sys.argv[1:]
    if role == "worker":
        worker(int(port))
    else:
        client(int(port), int(rest[0]), int(rest[1]))


if __name__ == "__main__":
    main()
