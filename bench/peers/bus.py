"""Peers of the bus's benchmark: brokers (ours, the design of the ZeroMQ guide's Python one, a bare proxy), an echoing worker, clients.

`python -m bench.peers.bus broker <kind> <port>` | `worker <kind> <port>` | `client <kind> <port> <window> <size>`. Each prints a line when
it is there; a client then reads how many requests to make, a line each, and prints JSON: seconds, its CPU seconds.

Worker and clients are the same for all brokers on ZeroMQ, and move frames the fastest way there is, with the compiled mover where the
benchmark has built it, so that the broker decides.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import zmq
from zmq.backend import Socket as Backend

from wayhouse.bus.drivers.frames import receive_many, send_many

SERVICE = b"echo"
READY, REQUEST, REPLY, HEARTBEAT, DISCONNECT = b"\1", b"\2", b"\3", b"\4", b"\5"
CLIENT, WORKER = b"MDPC01", b"MDPW01"
BATCH, BATCH_BYTES = 256, 1 << 20
_recv: Any = Backend.recv


def take(sock: Any) -> list[list[bytes]]:
    """Wait for a message; it, and all that came with it."""
    frame = _recv(sock, 0, False)
    found = [[frame.bytes]]
    while frame.more:
        frame = _recv(sock, 0, False)
        found[0].append(frame.bytes)
    receive_many(sock, found, BATCH, BATCH_BYTES)
    return found


def put(sock: Any, *messages: list[bytes]) -> None:
    if send_many(sock, list(messages), 0) is not None:
        raise RuntimeError("a peer of the benchmark could not send")


class GuideBroker:
    """The design of the guide's Python broker, written from RFC 7: one request a worker, a list of waiting workers that is searched,
    expired ones dropped from its head after each message, `recv_multipart` and `send_multipart`."""

    interval_s, liveness = 2.5, 3

    def __init__(self, port: int) -> None:
        self.socket = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.bind(f"tcp://127.0.0.1:{port}")
        self.poller = zmq.Poller()
        self.poller.register(self.socket, zmq.POLLIN)
        self.requests: dict[bytes, list[list[bytes]]] = {}
        self.waiting_for: dict[bytes, list[bytes]] = {}
        self.workers: dict[bytes, dict[str, Any]] = {}
        self.waiting: list[bytes] = []
        self.heartbeat_at = time.time() + self.interval_s

    def run(self) -> None:
        while True:
            if self.poller.poll(int(self.interval_s * 1000)):
                self.handle(self.socket.recv_multipart())
            self.purge()
            if time.time() > self.heartbeat_at:
                for worker in self.waiting:
                    self.tell(worker, HEARTBEAT)
                self.heartbeat_at = time.time() + self.interval_s

    def handle(self, frames: list[bytes]) -> None:
        sender, _, header, *rest = frames
        if header == CLIENT:
            self.dispatch(rest[0], [sender, b"", *rest[1:]])
        elif header == WORKER:
            self.from_worker(sender, rest)

    def from_worker(self, sender: bytes, rest: list[bytes]) -> None:
        command = rest[0]
        if command == READY:
            self.workers[sender] = {"service": rest[1], "expiry": 0.0}
            self.idle(sender)
        elif command == REPLY and sender in self.workers:
            service = self.workers[sender]["service"]
            self.socket.send_multipart([rest[1], b"", CLIENT, service, *rest[3:]])
            self.idle(sender)
        elif command == HEARTBEAT and sender in self.workers:
            self.workers[sender]["expiry"] = time.time() + self.interval_s * self.liveness

    def idle(self, sender: bytes) -> None:
        worker = self.workers[sender]
        self.waiting.append(sender)
        self.waiting_for.setdefault(worker["service"], []).append(sender)
        worker["expiry"] = time.time() + self.interval_s * self.liveness
        self.dispatch(worker["service"], None)

    def dispatch(self, service: bytes, request: list[bytes] | None) -> None:
        queue, waiting = self.requests.setdefault(service, []), self.waiting_for.setdefault(service, [])
        if request is not None:
            queue.append(request)
        self.purge()
        while queue and waiting:
            body, worker = queue.pop(0), waiting.pop(0)
            self.waiting.remove(worker)
            self.tell(worker, REQUEST, body)

    def tell(self, worker: bytes, command: bytes, body: list[bytes] | None = None) -> None:
        self.socket.send_multipart([worker, b"", WORKER, command, *(body or [])])

    def purge(self) -> None:
        while self.waiting:
            worker = self.waiting[0]
            if self.workers[worker]["expiry"] > time.time():
                break
            self.waiting_for[self.workers.pop(worker)["service"]].remove(worker)
            self.waiting.pop(0)


def ours(port: int, *arguments: str) -> None:
    from wayhouse.bus.server import BusServer, steady
    from wayhouse.bus.server_options import parse_options, settings_of

    server = BusServer(settings_of(parse_options(["--port", str(port), "--no-clone", *arguments])))
    steady()
    print("ready", flush=True)
    server.run()


def proxy(port: int) -> None:
    context = zmq.Context.instance()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    front.bind(f"tcp://127.0.0.1:{port}")
    back.bind(f"tcp://127.0.0.1:{port + 1}")
    print("ready", flush=True)
    zmq.proxy(front, back)


def broker(kind: str, port: int) -> None:
    if kind == "proxy":
        proxy(port)
    elif kind == "guide":
        guide = GuideBroker(port)
        print("ready", flush=True)
        guide.run()
    else:
        ours(port, *([] if kind.startswith(("adaptive", "direct")) else ["--fixed-credit"]))


def worker(kind: str, port: int) -> None:
    sock = zmq.Context.instance().socket(zmq.DEALER)
    sock.setsockopt(zmq.RCVTIMEO, 1000)
    sock.connect(f"tcp://127.0.0.1:{port + (kind == 'proxy')}")
    if kind != "proxy":
        put(sock, [b"", WORKER, READY, SERVICE, *([b"credit=64"] if kind.startswith("asked") else [])])
    print("ready", flush=True)
    beat_at = time.monotonic() + 1
    while True:
        try:
            found = take(sock)
        except zmq.Again:
            found = []
        if kind != "proxy":
            found = [frames for frames in found if frames[2] == REQUEST]
            for frames in found:
                frames[2] = REPLY
        put(sock, *found)
        if kind != "proxy" and time.monotonic() > beat_at:
            put(sock, [b"", WORKER, HEARTBEAT])
            beat_at = time.monotonic() + 1


def client(kind: str, port: int, window: int, size: int) -> None:
    sock = zmq.Context.instance().socket(zmq.DEALER)
    sock.connect(f"tcp://127.0.0.1:{port}")
    request = [b"", b"x" * size] if kind == "proxy" else [b"", CLIENT, SERVICE, b"x" * size]
    _calls(sock, request, window, window)
    print("ready", flush=True)
    for line in sys.stdin:
        begun, cpu = time.perf_counter(), time.process_time()
        _calls(sock, request, window, int(line))
        print(json.dumps([time.perf_counter() - begun, time.process_time() - cpu]), flush=True)


def _calls(sock: Any, request: list[bytes], window: int, count: int) -> None:
    sent, got = min(window, count), 0
    put(sock, *[request] * sent)
    while got < count:
        here = len(take(sock))
        got += here
        more = min(here, count - sent)
        put(sock, *[request] * more)
        sent += more


def main() -> None:
    role, kind, port, *rest = sys.argv[1:]
    if role == "broker":
        broker(kind, int(port))
    elif role == "worker":
        worker(kind, int(port))
    else:
        client(kind, int(port), int(rest[0]), int(rest[1]))


if __name__ == "__main__":
    main()
