"""Durable requests: accepted a second and CPU of an accept, on disk, against the guide's way of a file for each, not synced."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import zmq

from bench.table import Table, median
from wayhouse.bus import mdp
from wayhouse.bus.drivers.frames import AnySocket, receive, send

ROUNDS = 3
OUTSTANDING = {1: 1500, 32: 16_000, 256: 32_000}
"""How many requests wait for their acknowledgement, and how many are sent in a round; the guide's gets an eighth."""
BODY = b"x" * 16
NAMES = {"ours": "Wayhouse, synced to disk", "guide": "a file a request, not synced"}

Figure = tuple[float, float, float]
"""(accepted a second, CPU us an accept of Titanic alone, the same with the broker's)."""


def run() -> Table:
    table = Table(
        "Durable requests",
        f"`titanic.request` with {len(BODY)} bytes for a service that is not there, through our broker, over a UNIX socket; broker, Titanic "
        f"and one client in a process each, medians of {ROUNDS} interleaved rounds. Ours answers when the request is on disk (SQLite, "
        "WAL, FULL). The peer does what the guide's Titanic does: a file for each request and a line in a queue file, nothing synced; "
        "it has no dispatcher.",
        ("outstanding", "what", "accepted/s", "CPU µs/accept, Titanic", "with the broker's"),
    )
    figures = _measure()
    for outstanding in OUTSTANDING:
        for kind, name in NAMES.items():
            rate, alone, both = figures[kind, outstanding]
            table.add(outstanding, name, f"{rate:,.0f}", f"{alone:.1f}", f"{both:.1f}")
    for outstanding, share in ((32, 1.0), (256, 1.0)):
        ours, theirs = figures["ours", outstanding], figures["guide", outstanding]
        text = f"{outstanding} outstanding: on disk, and at least {share:.0f}x the accepts of what is not ({ours[0] / theirs[0]:.1f}x)"
        table.goal(text, met=ours[0] >= share * theirs[0])
        table.goal(
            f"{outstanding} outstanding: less CPU, too ({theirs[1] / ours[1]:.1f}x)", met=ours[1] < theirs[1]
        )
    return table


def _measure() -> dict[tuple[str, int], Figure]:
    found: dict[tuple[str, int], list[Figure]] = {
        (kind, outstanding): [] for outstanding in OUTSTANDING for kind in NAMES
    }
    for _ in range(ROUNDS):
        for (kind, outstanding), figures in found.items():
            figures.append(_round(kind, outstanding))
    return {key: _medians(figures) for key, figures in found.items()}


def _round(kind: str, outstanding: int) -> Figure:
    count = OUTSTANDING[outstanding] // (8 if kind == "guide" and outstanding > 1 else 1)
    with tempfile.TemporaryDirectory(prefix="bench-titanic-") as folder, ExitStack() as stack:
        endpoint = f"ipc://{folder}/bus.sock"
        broker = stack.enter_context(
            _process("wayhouse.bus.server", "--runtime", folder, "--port", "0", "--no-clone")
        )
        titanic = stack.enter_context(_process(*_titanic(kind, endpoint, folder)))
        context: zmq.Context[AnySocket] = zmq.Context()
        client = context.socket(zmq.DEALER)
        client.setsockopt(zmq.LINGER, 0)
        client.connect(endpoint)
        try:
            _ask(client, outstanding, outstanding)
            before, begun = (_cpu(titanic), _cpu(broker)), time.perf_counter()
            _ask(client, count, outstanding)
            took = time.perf_counter() - begun
            alone, bus = _cpu(titanic) - before[0], _cpu(broker) - before[1]
        finally:
            client.close()
            context.term()
    return count / took, alone / count * 1e6, (alone + bus) / count * 1e6


def _titanic(kind: str, endpoint: str, folder: str) -> list[str]:
    if kind == "ours":
        return ["wayhouse.bus.titanic_server", "--broker", endpoint, "--data", folder]
    return ["bench.peers.titanic", endpoint, folder]


def _ask(client: AnySocket, count: int, outstanding: int) -> None:
    """Send `count` requests, `outstanding` of them unanswered at a time; returns when all are accepted."""
    frames = mdp.build_request(b"titanic.request", [b"nobody", BODY])
    for _ in range(outstanding):
        send(client, frames)
    left, answered = count - outstanding, 0
    while answered < count:
        if not client.poll(10_000):
            raise RuntimeError("no answer of Titanic within 10 s")
        while (reply := receive(client)) is not None:
            if reply[3] != b"200":
                raise RuntimeError(f"not accepted: {reply[3:]}")
            answered += 1
            if left > 0:
                left -= 1
                send(client, frames)


@contextmanager
def _process(module: str, *arguments: str) -> Iterator[subprocess.Popen[Any]]:
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _cpu(process: subprocess.Popen[Any]) -> float:
    """Seconds of CPU that a process has used: its clock, as clock_getcpuclockid(3) makes it."""
    return time.clock_gettime((~process.pid << 3) | 2)


def _medians(found: list[Figure]) -> Figure:
    rate, alone, both = (median(column) for column in zip(*found, strict=True))
    return rate, alone, both


if __name__ == "__main__":
    print(run().markdown())
