"""Durable requests: accepted a second and CPU of an accept, on disk, against the guide's way of a file for each, not synced."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import zmq

from bench import mover
from bench.table import Table, median
from wayhouse.bus import mdp
from wayhouse.bus.drivers.frames import AnySocket, receive, send

ROUNDS = 3
OUTSTANDING = {1: 1000, 32: 12_000, 256: 24_000}
"""How many requests wait for their acknowledgement, and how many are sent in a round."""
SHARES = {"ours": 1, "ours+": 1, "files": 8, "ours, done": 2, "ours, done+": 2, "guide": 16}
"""Of these a round of each kind gets one in so many (but with one outstanding)."""
BODY = b"x" * 16
NAMES = {
    "ours": "Wayhouse, synced to disk",
    "ours+": "Wayhouse with compiled frames, synced to disk",
    "files": "a file a request, not synced, no dispatcher",
    "ours, done": "Wayhouse, synced, and done meanwhile",
    "ours, done+": "Wayhouse with compiled frames, synced, and done meanwhile",
    "guide": "the guide's Titanic, not synced, and done meanwhile",
}

Figure = tuple[float, float, float]
"""(accepted a second, CPU us an accept of Titanic alone, the same with the broker's)."""


def run() -> Table:
    table = Table(
        "Durable requests",
        f"`titanic.request` with {len(BODY)} bytes through our broker, over a UNIX socket; broker, Titanic and one client in a process each, "
        f"medians of {ROUNDS} interleaved rounds. Ours answers when the request is on disk (SQLite, WAL, FULL). The first three are asked for a "
        "service that is not there, so that accepting alone is measured; the peer writes a file for each request and a line in a queue "
        "file. The others are asked for one that is there, so that dispatch goes on meanwhile; the guide's Titanic is our own writing of its "
        "design, which reads its queue file anew for each request.",
        ("outstanding", "what", "accepted/s", "CPU µs/accept, Titanic", "with the broker's"),
    )
    with mover.built() as lacks:
        here = [kind for kind in NAMES if not (lacks and kind.endswith("+"))]
        figures = _measure(here)
    for outstanding in OUTSTANDING:
        for kind in here:
            name = NAMES[kind]
            rate, alone, both = figures[kind, outstanding]
            table.add(outstanding, name, f"{rate:,.0f}", f"{alone:.1f}", f"{both:.1f}")
    for outstanding in (32, 256):
        ours, theirs = figures["ours", outstanding], figures["files", outstanding]
        text = f"{outstanding} outstanding: on disk, and more accepts than what is not ({ours[0] / theirs[0]:.1f}x)"
        table.goal(text, met=ours[0] >= theirs[0])
        table.goal(
            f"{outstanding} outstanding: less CPU, too ({theirs[1] / ours[1]:.1f}x)", met=ours[1] < theirs[1]
        )
    for kind in here:
        if kind.startswith("ours, done"):
            ratio = figures[kind, 32][0] / figures["guide", 32][0]
            table.goal(
                f"32 outstanding: {NAMES[kind]}: at least 20x the guide's Titanic ({ratio:.0f}x)",
                met=ratio >= 20,
            )
    return table


def _measure(kinds: Sequence[str]) -> dict[tuple[str, int], Figure]:
    found: dict[tuple[str, int], list[Figure]] = {
        (kind, outstanding): [] for outstanding in OUTSTANDING for kind in kinds
    }
    for _ in range(ROUNDS):
        for (kind, outstanding), figures in found.items():
            figures.append(_round(kind, outstanding))
    return {key: _medians(figures) for key, figures in found.items()}


def _round(kind: str, outstanding: int) -> Figure:
    count = OUTSTANDING[outstanding] // (SHARES[kind] if outstanding > 1 else 1)
    service = b"echo" if kind == "guide" or kind.startswith("ours, done") else b"nobody"
    pure = not kind.endswith("+")
    with tempfile.TemporaryDirectory(prefix="bench-titanic-") as folder, ExitStack() as stack:
        endpoint = f"ipc://{folder}/bus.sock"
        broker = stack.enter_context(
            _process("wayhouse.bus.server", "--runtime", folder, "--port", "0", "--no-clone", pure=pure)
        )
        titanic = stack.enter_context(_process(*_titanic(kind, endpoint, folder), pure=pure))
        if service == b"echo":
            stack.enter_context(_process("bench.peers.titanic", "echo", endpoint, folder, pure=pure))
        context: zmq.Context[AnySocket] = zmq.Context()
        client = context.socket(zmq.DEALER)
        client.setsockopt(zmq.LINGER, 0)
        client.connect(endpoint)
        try:
            _ask(client, service, outstanding, outstanding)
            before, begun = (_cpu(titanic), _cpu(broker)), time.perf_counter()
            _ask(client, service, count, outstanding)
            took = time.perf_counter() - begun
            alone, bus = _cpu(titanic) - before[0], _cpu(broker) - before[1]
        finally:
            client.close()
            context.term()
    return count / took, alone / count * 1e6, (alone + bus) / count * 1e6


def _titanic(kind: str, endpoint: str, folder: str) -> list[str]:
    if kind.startswith("ours"):
        return ["wayhouse.bus.titanic_server", "--broker", endpoint, "--data", folder]
    return ["bench.peers.titanic", kind, endpoint, folder]


def _ask(client: AnySocket, service: bytes, count: int, outstanding: int) -> None:
    """Send `count` requests, `outstanding` of them unanswered at a time; returns when all are accepted."""
    frames = mdp.build_request(b"titanic.request", [service, BODY])
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
def _process(module: str, *arguments: str, pure: bool) -> Iterator[subprocess.Popen[Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stderr=subprocess.DEVNULL,
        env=mover.environment(pure=pure),
    )
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
