"""Request and reply through the broker: its CPU per request and requests a second, against the design of the ZeroMQ guide's Python
broker, the same in C, NATS and a bare proxy; one client in step, eight, and eight with 32 requests under way."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import mover
from bench.peers.bus_others import command, missing
from bench.table import Table, median

ROUNDS = 3
NAMES = {
    "proxy": "zmq.proxy: no broker, the floor of a hop",
    "guide": "the guide's Python design",
    "c": "the guide's design in C",
    "nats": "NATS, another protocol",
    "one": "Wayhouse, one request a worker",
    "adaptive": "Wayhouse, credit that adapts (the default)",
    "asked": "Wayhouse, a worker that asks for 64",
    "one+": "Wayhouse with compiled frames, one request a worker",
    "adaptive+": "Wayhouse with compiled frames, credit that adapts",
    "asked+": "Wayhouse with compiled frames, a worker that asks for 64",
    "direct+": "Wayhouse with compiled frames, credit that adapts, and ends as those of NATS",
}
OTHERS = {"c", "nats"}
PURE = {"one", "adaptive", "asked"}
COMPILED = {"one+", "adaptive+", "asked+", "direct+"}
ENDS = {"nats": "bench.peers.bus_others", "direct+": "bench.peers.zmtp_ends"}
"""Those that write the protocol themselves; the others' are on ZeroMQ."""
LOADS = {
    "1 in step": (1, 1, 16, 1500),
    "8 in step": (8, 1, 16, 800),
    "8 x 32": (8, 32, 16, 2500),
    "8 x 32, 1 KiB": (8, 32, 1024, 2000),
}
"""Clients, requests under way of each, bytes of a body, requests of each in a round."""

Figures = dict[tuple[str, str], tuple[float, float]]
"""(kind, load) -> medians of the broker's CPU in us a request, requests a second."""


class Setup:
    """A broker, one worker, and clients that wait for the word."""

    def __init__(self, kind: str, load: str) -> None:
        clients, window, size, self._count = LOADS[load]
        port = str(_free_port())
        self._all: list[subprocess.Popen[str]] = []
        self._folder = tempfile.TemporaryDirectory(prefix="bench-bus-")
        self._pure = kind in PURE
        if kind in OTHERS:
            self._broker = self._launch(
                command(kind, port, Path(self._folder.name)), says_ready=kind != "nats"
            )
        else:
            self._broker = self._start("broker", kind, port)
        self._pure = False
        self._start("worker", kind, port)
        time.sleep(0.2)  # READY has to arrive first: the guide's design has no other sign of it
        self._clients = [self._start("client", kind, port, str(window), str(size)) for _ in range(clients)]

    def round(self) -> tuple[float, float]:
        """(broker's CPU us a request, requests a second)."""
        before, begun = _cpu(self._broker), time.perf_counter()
        for client in self._clients:
            assert client.stdin is not None
            client.stdin.write(f"{self._count}\n")
            client.stdin.flush()
        for client in self._clients:
            json.loads(_line(client))
        took = time.perf_counter() - begun
        total = self._count * len(self._clients)
        return (_cpu(self._broker) - before) / total * 1e6, total / took

    def close(self) -> None:
        for process in reversed(self._all):
            process.kill()
            process.communicate()

        self._folder.cleanup()

    def _start(self, role: str, kind: str, *arguments: str) -> subprocess.Popen[str]:
        module = "bench.peers.bus" if role == "broker" else ENDS.get(kind, "bench.peers.bus")
        return self._launch([sys.executable, "-m", module, role, kind, *arguments])

    def _launch(self, command: list[str], *, says_ready: bool = True) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if says_ready else subprocess.DEVNULL,
            text=True,
            env=mover.environment(pure=self._pure),
        )
        self._all.append(process)
        if says_ready:
            assert _line(process) == "ready"
        return process


def run() -> Table:
    table = Table(
        "Requests through the bus",
        "MDP 0.1, one echoing worker, loopback TCP; broker, worker and every client a process of its own, and the same worker and clients "
        f"for all brokers on ZeroMQ, which use compiled frames where there is a compiler. Medians of {ROUNDS} interleaved rounds. CPU is the broker's alone, with its I/O thread. The guide's design is our "
        "own writing of it, from the RFC, in Python and, with czmq, in C; NATS has ends that write its protocol themselves, so that in the last row ours have, too. Bodies have 16 "
        "bytes unless said; `8 x 32` is eight clients with 32 requests under way each.",
        ("what", *(cell for load in LOADS for cell in (f"{load}: broker's CPU µs", "requests/s"))),
    )
    figures: Figures = {}
    with mover.built() as lacks:
        why_not = {kind: missing(kind) for kind in NAMES} | dict.fromkeys(COMPILED, lacks)
        here = [kind for kind in NAMES if not why_not[kind]]
        for load in LOADS:
            figures.update(_measure(load, here))
    for kind, name in NAMES.items():
        if kind in here:
            table.add(name, *(cell for load in LOADS for cell in _cells(figures[kind, load])))
        else:
            table.add(f"{name}: skipped, needs {why_not[kind]}", *([""] * 2 * len(LOADS)))
    _goals(table, figures)
    _goals_of_others(table, figures, here)
    return table


def _measure(load: str, kinds: list[str]) -> Figures:
    """All kinds side by side, so that what else the machine does hits them alike."""
    setups: dict[str, Setup] = {}
    rounds: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    try:
        for kind in kinds:
            setups[kind] = Setup(kind, load)
        for _ in range(ROUNDS):
            for kind, setup in setups.items():
                rounds[kind].append(setup.round())
    finally:
        for setup in setups.values():
            setup.close()
    return {
        (kind, load): (median([cpu for cpu, _ in found]), median([rate for _, rate in found]))
        for kind, found in rounds.items()
    }


def _cells(figure: tuple[float, float]) -> tuple[str, str]:
    return f"{figure[0]:.0f}", f"{figure[1]:,.0f}"


def _goals(table: Table, figures: Figures) -> None:
    for load in ("8 in step", "8 x 32", "8 x 32, 1 KiB"):
        for kind, goal in (("one", 1.5), ("adaptive", 2.0 if "x" in load else 1.5)):
            (ours, rate), (theirs, their_rate) = figures[kind, load], figures["guide", load]
            text = (
                f"{load}: {NAMES[kind]}: at least {goal}x the requests a second of the guide's Python design"
            )
            table.goal(
                f"{text} ({rate / their_rate:.2f}x, with {ours / theirs:.2f}x its CPU)",
                met=rate >= goal * their_rate,
            )


def _goals_of_others(table: Table, figures: Figures, here: list[str]) -> None:
    """Both with one request a worker and with credit; NATS knows no worker that is busy, so it is compared with credit alone."""
    for load, kind, other, share in (
        ("8 x 32", "one", "c", 0.8),
        ("8 x 32", "one+", "c", 1.0),
        ("8 x 32", "asked", "c", 2.0),
        ("8 x 32", "asked+", "c", 5.0),
        ("8 x 32", "adaptive+", "c", 5.0),
        ("8 x 32", "direct+", "nats", 0.5),
        ("8 x 32, 1 KiB", "direct+", "nats", 1.0),
    ):
        if other in here and kind in here:
            (ours, rate), (theirs, their_rate) = figures[kind, load], figures[other, load]
            text = f"{load}: {NAMES[kind]}: at least {share}x the requests a second of: {NAMES[other]}"
            table.goal(
                f"{text} ({rate / their_rate:.2f}x, with {ours / theirs:.2f}x its CPU)",
                met=rate >= share * their_rate,
            )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a peer of the benchmark ended: {process.args}")
    return line.strip()


def _free_port() -> int:
    """One whose successor is free too, as the proxy needs it."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port: int = first.getsockname()[1]
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except (OSError, OverflowError):
                continue
        return port


def _cpu(process: subprocess.Popen[Any]) -> float:
    """Seconds of CPU that a process has used, to the nanosecond: its clock, as clock_getcpuclockid(3) makes it."""
    return time.clock_gettime((~process.pid << 3) | 2)
