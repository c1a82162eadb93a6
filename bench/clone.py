"""Updates through the key/value clone: the server's CPU an update and updates a second, against the design of the ZeroMQ guide's server in C."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import zmq

from bench import mover
from bench.table import Table, median
from wayhouse.bus.drivers.frames import AnySocket, receive_many, send_many
from wayhouse.bus.kvmsg import Form
from wayhouse.bus.publishing import update_frames

ROUNDS = 5
SOURCE = Path(__file__).parent / "peers" / "clone_server.c"
NAMES = {"c": "the guide's design in C", "pure": "Wayhouse", "compiled": "Wayhouse with compiled frames"}
LOADS = {1: 40_000, 20: 8_000}
"""Subscribers, and updates of a round."""
WINDOW, PIECE = 1000, 100
GOAL = 1.2

Ports = tuple[int, int]


def run() -> Table:
    table = Table(
        "Updates through the clone",
        f"Updates of 16 bytes on 1,000 keys over loopback TCP, at most {WINDOW:,} under way, so that none is lost. The server is one process; the publisher "
        f"and all subscribers are another, the same for all. Medians of {ROUNDS} interleaved rounds. The guide's design is our own writing of it, from RFC 12.",
        ("what", *(cell for count in LOADS for cell in (f"{count} subscribers: CPU µs", "updates/s"))),
    )
    with mover.built() as lacks, tempfile.TemporaryDirectory(prefix="bench-clone-") as folder:
        why_not = {"c": _lacks_c(), "pure": "", "compiled": lacks}
        kinds = [kind for kind in NAMES if not why_not[kind]]
        figures = {count: _measure(kinds, count, Path(folder)) for count in LOADS}
    for kind, name in NAMES.items():
        if kind in kinds:
            cells = [figures[count][kind] for count in LOADS]
            table.add(name, *(cell for cpu, rate in cells for cell in (f"{cpu:.1f}", f"{rate:,.0f}")))
        else:
            table.add(f"{name}: skipped, needs {why_not[kind]}", *([""] * 2 * len(LOADS)))
    if {"c", "compiled"} <= set(kinds):
        for count in LOADS:
            (cpu, rate), (their_cpu, their_rate) = figures[count]["compiled"], figures[count]["c"]
            table.goal(
                f"{count} subscribers: {NAMES['compiled']}: at least {GOAL}x the updates a second of: {NAMES['c']} "
                f"({rate / their_rate:.2f}x, with {cpu / their_cpu:.2f}x its CPU)",
                met=rate >= GOAL * their_rate,
            )
    return table


def _measure(kinds: list[str], count: int, folder: Path) -> dict[str, tuple[float, float]]:
    rounds: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    with contextlib.ExitStack() as stack:
        servers = {kind: stack.enter_context(_server(kind, folder)) for kind in kinds}
        ends = {kind: stack.enter_context(_ends(ports, count)) for kind, (_, ports) in servers.items()}
        for _ in range(ROUNDS):
            for kind, (process, _) in servers.items():
                rounds[kind].append(_round(process.pid, *ends[kind], LOADS[count]))
    return {
        kind: (median([cpu for cpu, _ in found]), median([rate for _, rate in found]))
        for kind, found in rounds.items()
    }


def _round(pid: int, push: AnySocket, subscribers: list[AnySocket], updates: int) -> tuple[float, float]:
    """(the server's CPU us an update, updates a second)."""
    before, begun = _cpu(pid), time.perf_counter()
    sent, got = 0, [0] * len(subscribers)
    while min(got) < updates:
        if sent < updates and sent - min(got) <= WINDOW - PIECE:
            _send(push, sent, min(PIECE, updates - sent))
            sent += PIECE
        for place, one in enumerate(subscribers):
            got[place] += _take(one)
    return (_cpu(pid) - before) / updates * 1e6, updates / (time.perf_counter() - begun)


def _send(push: AnySocket, begin: int, count: int) -> None:
    messages = [
        update_frames("many", b"%d" % (number % 1000), b"x" * 16, None, Form.CHP)
        for number in range(begin, begin + count)
    ]
    if send_many(push, messages, 0) is not None:
        raise RuntimeError("the benchmark could not send")


def _take(subscriber: AnySocket) -> int:
    """How many updates came; the server's own signs are none."""
    found: list[list[bytes]] = []
    receive_many(subscriber, found, 1000, 1 << 20)
    return sum(frames[0].startswith(b"/many/") for frames in found)


@contextlib.contextmanager
def _server(kind: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], Ports]]:
    """The process, with the ports of its publisher and its collector."""
    base = _free_ports()
    ports = base + 2, base + 3
    if kind == "c":
        program = folder / SOURCE.stem
        if not program.exists():
            subprocess.run(["cc", "-O2", "-o", str(program), str(SOURCE), "-lczmq", "-lzmq"], check=True)
        command = [str(program), *map(str, ports)]
    else:
        command = [sys.executable, "-m", "wayhouse.bus.server", "--port", str(base)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        env=mover.environment(pure=kind == "pure"),
    )
    try:
        yield process, ports
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def _ends(ports: Ports, count: int) -> Iterator[tuple[AnySocket, list[AnySocket]]]:
    """A publisher, and subscribers that are known to get what it sends."""
    context: zmq.Context[AnySocket] = zmq.Context()
    push = context.socket(zmq.PUSH)
    push.setsockopt(zmq.SNDHWM, 0)
    push.connect(f"tcp://127.0.0.1:{ports[1]}")
    subscribers = [_subscriber(context, ports[0]) for _ in range(count)]
    waiting = set(subscribers)
    while waiting:
        push.send_multipart(update_frames("first", b"x", b"x", None, Form.CHP))
        time.sleep(0.05)
        waiting -= {one for one in waiting if one.poll(0)}
    time.sleep(0.3)
    for one in subscribers:
        while _take(one) or one.poll(0):
            pass
    try:
        yield push, subscribers
    finally:
        context.destroy(linger=0)


def _subscriber(context: zmq.Context[AnySocket], port: int) -> AnySocket:
    one = context.socket(zmq.SUB)
    one.setsockopt(zmq.RCVHWM, 0)
    one.setsockopt(zmq.SUBSCRIBE, b"")
    one.connect(f"tcp://127.0.0.1:{port}")
    return one


def _lacks_c() -> str:
    is_here = shutil.which("cc") is not None and Path("/usr/include/czmq.h").exists()
    return "" if is_here else "a C compiler and libczmq-dev"


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used: its clock, as clock_getcpuclockid(3) makes it."""
    return time.clock_gettime((~pid << 3) | 2)


def _free_ports() -> int:
    """The first of four in a row."""
    while True:
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port: int = first.getsockname()[1]
            try:
                for offset in (1, 2, 3):
                    stack.enter_context(socket.create_server(("127.0.0.1", port + offset)))
            except (OSError, OverflowError):
                continue
        return port
