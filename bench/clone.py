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
from bench.peers.bus_others import connect
from bench.peers.zmtp_ends import GREETING
from bench.table import Table, median
from wayhouse.bus.drivers.frames import AnySocket, encode, send_many
from wayhouse.bus.kvmsg import Form
from wayhouse.bus.publishing import update_frames
from wayhouse.bus.zmtp import commands

ROUNDS = 5
SOURCE = Path(__file__).parent / "peers" / "clone_server.c"
NAMES = {"c": "the guide's design in C", "pure": "Wayhouse", "compiled": "Wayhouse with compiled frames"}
LOADS = {1: 40_000, 20: 20_000}
"""Subscribers, and updates of a round."""
WINDOW, PIECE = 1000, 100
GOAL = 1.2

BODY = b"x" * 16
UPDATE_BYTES = len(encode(update_frames("many", b"000", BODY, None, Form.CHP), 0))
SUB = commands.frame(commands.build(commands.READY, commands.build_properties({b"Socket-Type": b"SUB"})))

Ports = tuple[int, int]


def run() -> Table:
    table = Table(
        "Updates through the clone",
        f"Updates of 16 bytes on 1,000 keys over loopback TCP, at most {WINDOW:,} under way, so that none is lost. The server is one process; the publisher "
        f"and all subscribers, which write ZMTP themselves and only count, are another, the same for all. Medians of {ROUNDS} interleaved rounds. The guide's design is our own writing of it, from RFC 12.",
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


def _round(pid: int, push: AnySocket, subscribers: list[Subscriber], updates: int) -> tuple[float, float]:
    """(the server's CPU us an update, updates a second)."""
    before, begun = _cpu(pid), time.perf_counter()
    sent = 0
    for one in subscribers:
        one.got = 0
    while (least := min(one.got for one in subscribers)) < updates:
        if sent < updates and sent - least <= WINDOW - PIECE:
            _send(push, sent, min(PIECE, updates - sent))
            sent += PIECE
        for one in subscribers:
            one.take()
    return (_cpu(pid) - before) / updates * 1e6, updates / (time.perf_counter() - begun)


def _send(push: AnySocket, begin: int, count: int) -> None:
    messages = [
        update_frames("many", b"%03d" % (number % 1000), BODY, None, Form.CHP)
        for number in range(begin, begin + count)
    ]
    if send_many(push, messages, 0) is not None:
        raise RuntimeError("the benchmark could not send")


class Subscriber:
    """Counts updates by their bytes, which are as many for each, so that the server is the larger part of the work; its own signs are too few to matter."""

    def __init__(self, port: int) -> None:
        self._socket = connect(port)
        self._socket.sendall(GREETING + SUB)
        told = b""
        while b"READY" not in told:
            told += self._socket.recv(4096)
        self._socket.sendall(encode([b"\1/many/"], 0))
        self._socket.setblocking(False)
        self._bytes = 0

    @property
    def got(self) -> int:
        return self._bytes // UPDATE_BYTES

    @got.setter
    def got(self, count: int) -> None:
        self._bytes = count * UPDATE_BYTES

    def take(self) -> int:
        with contextlib.suppress(BlockingIOError):
            self._bytes += len(self._socket.recv(1 << 20))
        return self._bytes

    def close(self) -> None:
        self._socket.close()


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
def _ends(ports: Ports, count: int) -> Iterator[tuple[AnySocket, list[Subscriber]]]:
    """A publisher, and subscribers that are known to get what it sends."""
    with contextlib.ExitStack() as stack:
        context: zmq.Context[AnySocket] = zmq.Context()
        stack.callback(context.destroy, linger=0)
        push = context.socket(zmq.PUSH)
        push.setsockopt(zmq.SNDHWM, 0)
        push.connect(f"tcp://127.0.0.1:{ports[1]}")
        subscribers = [Subscriber(ports[0]) for _ in range(count)]
        for one in subscribers:
            stack.callback(one.close)
        while not all(one.take() for one in subscribers):
            _send(push, 0, 1)
            time.sleep(0.05)
        time.sleep(0.3)
        for one in subscribers:
            one.take()
        yield push, subscribers


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
