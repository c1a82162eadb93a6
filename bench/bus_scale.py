"""The bus with many: services, workers and queued requests in the broker, subscribers and keys of the clone."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from bench.table import Table, median
from wayhouse.bus import mdp
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.drivers.frames import AnySocket, receive, send
from wayhouse.bus.keys import NO_KEYS
from wayhouse.bus.kvmsg import Form
from wayhouse.bus.overview import BrokerFigures, figures
from wayhouse.bus.publisher import KvSubscriberClient
from wayhouse.bus.publishing import push_socket, update_frames

ROUNDS = 5
SERVICES = 1000
QUEUED = 100_000
CALLS, WINDOW = 4000, 32
SUBSCRIBERS = (1, 10, 100, 1000)
DELIVERIES = 200_000
KEYS = 100_000
HOURLY = mdp.build_label(b"nobody", ttl_s=3600)


def run() -> Table:
    table = Table(
        "The bus with many",
        f"Processes on loopback TCP. A client with {WINDOW} requests under way and an echoing worker that asks for 64, medians of {ROUNDS} rounds of "
        f"{CALLS:,}: first on an empty broker, then with {SERVICES:,} other services of a worker each, and then with {QUEUED:,} requests in "
        "a queue, too. Updates of the clone have 16 bytes; all subscribers are one process. The snapshot is taken by our client while "
        "2,000 updates a second go on, and is checked to be complete.",
        ("what", "measured", "CPU of the bus"),
    )
    _requests(table)
    _updates(table)
    _snapshot(table)
    return table


class Bus:
    """The process of the bus, and a client's socket."""

    def __init__(self, stack: list[subprocess.Popen[str]]) -> None:
        self.port = _free_ports()
        self.endpoint = f"tcp://127.0.0.1:{self.port}"
        self.clone = Endpoints.of("127.0.0.1", self.port)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wayhouse.bus.server", "--port", str(self.port)],
            stderr=subprocess.DEVNULL,
            text=True,
        )
        stack.append(self.process)
        self.context: zmq.Context[AnySocket] = zmq.Context()
        self.client = self.context.socket(zmq.DEALER)
        self.client.setsockopt(zmq.LINGER, 0)
        self.client.setsockopt(zmq.SNDHWM, 0)
        self.client.connect(self.endpoint)

    def cpu(self) -> float:
        """Seconds that the process has used: its clock, as clock_getcpuclockid(3) makes it."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def figures(self) -> BrokerFigures:
        send(self.client, mdp.build_request(b"mmi.stats", [b""]))
        return figures(self.client.recv_multipart()[3:])

    def calls(self) -> tuple[float, float]:
        """(CPU us a request, requests a second)."""
        request, before, begun = mdp.build_request(b"echo", [b"x" * 16]), self.cpu(), time.perf_counter()
        for _ in range(WINDOW):
            send(self.client, request)
        left, answered = CALLS - WINDOW, 0
        while answered < CALLS:
            self.client.poll()
            while receive(self.client) is not None:
                answered += 1
                if left > 0:
                    left -= 1
                    send(self.client, request)
        return (self.cpu() - before) / CALLS * 1e6, CALLS / (time.perf_counter() - begun)

    def close(self) -> None:
        self.client.close()
        self.context.term()


@contextmanager
def _bus() -> Iterator[tuple[Bus, list[subprocess.Popen[str]]]]:
    stack = list[subprocess.Popen[str]]()
    bus = Bus(stack)
    try:
        yield bus, stack
    finally:
        bus.close()
        for process in reversed(stack):
            process.kill()
            process.communicate()


def _peer(stack: list[subprocess.Popen[str]], module: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stack.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _requests(table: Table) -> None:
    with _bus() as (bus, stack):
        _peer(stack, "bench.peers.bus", "worker", "asked", str(bus.port))
        bus.calls()
        empty = _median([bus.calls() for _ in range(ROUNDS)])
        _peer(stack, "bench.peers.bus_scale", "workers", bus.endpoint, str(SERVICES))
        while bus.figures().now.get("workers", 0) <= SERVICES:
            time.sleep(0.1)
        many = _median([bus.calls() for _ in range(ROUNDS)])
        request = mdp.build_request(HOURLY, [b"x" * 16])
        for _ in range(QUEUED):
            send(bus.client, request)
        while bus.figures().now.get("queued", 0) < QUEUED:
            time.sleep(0.1)
        full = _median([bus.calls() for _ in range(ROUNDS)])
        resident = _resident_mb(bus.process.pid)
    for name, (cpu, rate) in {
        "requests, empty broker": empty,
        f"with {SERVICES:,} services and workers": many,
        f"and with {QUEUED:,} queued requests": full,
    }.items():
        table.add(name, f"{rate:,.0f} requests/s", f"{cpu:.0f} µs each")
    table.add("its memory then", f"{resident:.0f} MB", "")
    ratio = full[0] / empty[0]
    table.goal(
        f"a request costs at most 1.5x of what it costs on the empty broker ({ratio:.2f}x)", met=ratio <= 1.5
    )


def _updates(table: Table) -> None:
    for count in SUBSCRIBERS:
        with _bus() as (bus, stack):
            peer = _peer(stack, "bench.peers.bus_scale", "subscribers", bus.clone.publisher, str(count))
            while (told := bus.figures().clone) is None or told.subscribers < count:
                time.sleep(0.1)
            updates = max(200, min(50_000, DELIVERIES // count))
            assert peer.stdin is not None
            assert peer.stdout is not None
            peer.stdin.write(f"{updates}\n")
            peer.stdin.flush()
            before = bus.cpu()
            _publish(bus, updates)
            took = float(peer.stdout.readline())
            cpu = (bus.cpu() - before) / updates * 1e6
        rate = f"{updates / took:,.0f} updates/s, {updates * count / took:,.0f} deliveries/s"
        table.add(f"{count:,} subscribers", rate, f"{cpu:.0f} µs an update")


def _publish(bus: Bus, count: int) -> None:
    publisher = push_socket(bus.context, bus.clone.collector, NO_KEYS)
    publisher.setsockopt(zmq.SNDTIMEO, -1)
    for number in range(count):
        publisher.send_multipart(update_frames("many", b"%d" % (number % 1000), b"x" * 16, None, Form.CHP))
    publisher.close()


def _snapshot(table: Table) -> None:
    with _bus() as (bus, _):
        publisher, stopped = push_socket(bus.context, bus.clone.collector, NO_KEYS), threading.Event()
        publisher.setsockopt(zmq.SNDTIMEO, -1)
        for number in range(KEYS):
            publisher.send_multipart(update_frames("keys", b"%d" % number, b"x" * 16, None, Form.CHP))
        while (told := bus.figures().clone) is None or told.keys < KEYS:
            time.sleep(0.1)

        def go_on() -> None:
            number = 0
            while not stopped.wait(0.005):
                for _ in range(10):
                    number += 1
                    publisher.send_multipart(
                        update_frames("keys", b"%d" % (number % KEYS), b"y" * 16, None, Form.CHP)
                    )

        load = threading.Thread(target=go_on)
        load.start()
        took = list[float]()
        for _ in range(ROUNDS):
            before, begun = bus.cpu(), time.perf_counter()
            client = KvSubscriberClient(subtree="keys", endpoints=bus.clone, speed=30.0)
            took.append(time.perf_counter() - begun)
            cpu, is_complete = bus.cpu() - before, len(client.kvmap) == KEYS and client.is_synchronised
            client.destroy()
        stopped.set()
        load.join()
        publisher.close(linger=0)
    table.add(f"a snapshot of {KEYS:,} keys under load", f"{median(took):.2f} s", f"{cpu:.2f} s")
    table.goal(
        f"a complete snapshot of {KEYS:,} keys under load within 0.3 s ({median(took):.2f} s)",
        met=is_complete and median(took) <= 0.3,
    )


def _median(found: list[tuple[float, float]]) -> tuple[float, float]:
    return median([cpu for cpu, _ in found]), median([rate for _, rate in found])


def _resident_mb(pid: int) -> float:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def _free_ports() -> int:
    """The first of four in a row."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port: int = first.getsockname()[1]
        try:
            held: list[Any] = [socket.create_server(("127.0.0.1", port + offset)) for offset in range(4)]
        except (OSError, OverflowError):
            continue
        for one in held:
            one.close()
        return port


if __name__ == "__main__":
    print(run().markdown())
