"""Remote calls: CPU per call and calls per second, against what else there is, small and large, one client and eight."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.table import Table, median

ROUNDS = 5
NEEDS = {"rpyc": "rpyc", "pyro5": "Pyro5", "grpcio": "grpc", "aiohttp": "aiohttp"}
NAMES = {
    "ours": "Wayhouse, TCP",
    "ours-unix": "Wayhouse, UNIX socket",
    "ours-v0": "Wayhouse, old wire, TCP",
    "multiprocessing": "multiprocessing.connection, TCP, a thread a client",
    "multiprocessing-unix": "multiprocessing.connection, UNIX socket",
    "rpyc": "rpyc",
    "pyro5": "Pyro5",
    "grpcio": "grpcio",
    "aiohttp": "aiohttp, JSON",
    "original": "the original's framing",
    "original-nodelay": "the original's framing and TCP_NODELAY",
}
PIPED = {"pipelined": "32 in flight", "windowed": "256 in flight"}
SMALL = {
    "ours": 8000,
    "ours-unix": 8000,
    "ours-v0": 8000,
    "multiprocessing": 8000,
    "multiprocessing-unix": 8000,
}
"""Calls of a round; others make fewer, since they take longer."""
FEW = {"original": 20, "rpyc": 2000, "pyro5": 1000, "grpcio": 800, "aiohttp": 800, "original-nodelay": 2000}

Figures = dict[tuple[str, str, int], tuple[float, float, float]]
"""(kind, what, clients) -> medians of client CPU us, server CPU us, calls a second."""


class Peer:
    """A server, and clients that wait for the word.

    CPU is measured with all of them on one CPU: what it costs to wake an idle one depends on what else the machine does, and on
    the scheduler's mood, more than on any of the systems. Calls a second are measured on all CPUs.
    """

    def __init__(self, kind: str, what: str, clients: int) -> None:
        self._server = _start("server", kind)
        address = self._line(self._server)
        self._clients = [_start("client", kind, address, what) for _ in range(clients)]
        for client in self._clients:
            assert self._line(client) == "ready"

    def round(self, count: int) -> tuple[float, float, float]:
        """(client CPU us a call, server CPU us a call, calls a second) for `count` calls of each client."""
        everywhere = os.sched_getaffinity(0)
        self._place({max(everywhere)})
        client, server, _ = self._calls(count)
        self._place(everywhere)
        return client, server, self._calls(count)[2]

    def _place(self, cpus: set[int]) -> None:
        for process in (*self._clients, self._server):
            for thread in Path(f"/proc/{process.pid}/task").iterdir():
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(int(thread.name), cpus)

    def _calls(self, count: int) -> tuple[float, float, float]:
        before, begun = _cpu(self._server), time.perf_counter()
        for client in self._clients:
            assert client.stdin is not None
            client.stdin.write(f"{count}\n")
            client.stdin.flush()
        answers = [json.loads(self._line(client)) for client in self._clients]
        took = time.perf_counter() - begun
        total = count * len(self._clients)
        used = sum(cpu for _, cpu in answers)
        return used / total * 1e6, (_cpu(self._server) - before) / total * 1e6, total / took

    def close(self) -> None:
        for process in (*self._clients, self._server):
            process.kill()
            process.communicate()

    def _line(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"a peer of the benchmark ended: {process.args}")
        return line.strip()


def run() -> Table:
    table = Table(
        "Remote calls",
        "`add(1, 2)`, and 64 KiB there and back; every server and client a process of its own, blocking clients, loopback TCP unless "
        f"said; medians of {ROUNDS} interleaved rounds. CPU is client + server, all of them on one CPU, so that waking an idle one "
        "does not count; calls a second are those on all CPUs. Large bodies travel as raw attachments here, pickled, as bytes, or as JSON text "
        "with the others, whichever they are best at. The original's "
        "framing is our copy of its way: a header and a body in two sends, JSON of the standard library.",
        ("what", "CPU µs/call", "calls/s", "8 clients: CPU µs", "calls/s", "64 KiB: CPU µs", "calls/s"),
    )
    kinds = [kind for kind in NAMES if kind not in NEEDS or importlib.util.find_spec(NEEDS[kind])]
    small = _measure([(kind, "small", 1) for kind in kinds])
    eight = _measure([(kind, "small", 8) for kind in kinds])
    large = _measure([(kind, "large", 1) for kind in kinds])
    piped = _measure([(kind, what, 1) for kind in ("ours", "ours-unix") for what in ("small", *PIPED)])
    figures = {**small, **eight, **large}
    for kind in kinds:
        cells = [
            _cells(figures.get(key)) for key in ((kind, "small", 1), (kind, "small", 8), (kind, "large", 1))
        ]
        table.add(NAMES[kind], *[cell for pair in cells for cell in pair])
    for kind in ("ours", "ours-unix"):
        for what, name in PIPED.items():
            table.add(f"{NAMES[kind]}, {name}", *_cells(piped[kind, what, 1]), "", "", "", "")
    _goals(table, figures)
    _goals_of_pipelines(table, piped)
    return table


def _measure(keys: list[tuple[str, str, int]]) -> Figures:
    """All of `keys` side by side, so that what else the machine does hits them alike."""
    peers: dict[tuple[str, str, int], Peer] = {}
    rounds: dict[tuple[str, str, int], list[tuple[float, float, float]]] = {key: [] for key in keys}
    try:
        for key in keys:
            peers[key] = Peer(*key)
        for _ in range(ROUNDS):
            for key, peer in peers.items():
                rounds[key].append(peer.round(_count(*key)))
    finally:
        for peer in peers.values():
            peer.close()
    return {key: _medians(found) for key, found in rounds.items()}


def _medians(found: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    client, server, rate = (median(column) for column in zip(*found, strict=True))
    return client, server, rate


def _count(kind: str, what: str, clients: int) -> int:
    if what in {"pipelined", "windowed"}:
        return 64_000
    count = SMALL.get(kind) or FEW[kind]
    return max(20, count // (4 if what == "large" else 1) // (4 if clients > 1 else 1))


def _cells(figure: tuple[float, float, float] | None) -> tuple[str, str]:
    if figure is None:
        return "", ""
    client, server, rate = figure
    return f"{client + server:.0f} ({client:.0f} + {server:.0f})", f"{rate:,.0f}"


def _goals(table: Table, figures: Figures) -> None:
    ours = _cpu_of(figures, "ours", "small")
    for kind, share in (("rpyc", 4.0), ("pyro5", 6.0), ("grpcio", 12.0), ("multiprocessing", 1 / 1.1)):
        if (kind, "small", 1) in figures:
            ratio = _cpu_of(figures, kind, "small") / ours
            goal = (
                f"CPU of a small call at most 1/{share:.0f} of {kind}'s"
                if share > 1
                else f"CPU within 1.1x of {kind}"
            )
            table.goal(f"{goal} (theirs is {ratio:.2f}x)", met=ratio >= share)
    for ours, theirs in (("ours", "multiprocessing"), ("ours-unix", "multiprocessing-unix")):
        cpu = _cpu_of(figures, ours, "large"), _cpu_of(figures, theirs, "large")
        text = f"64 KiB cost less CPU than with {NAMES[theirs]} ({cpu[0]:.0f} to {cpu[1]:.0f} µs)"
        table.goal(text, met=cpu[0] < cpu[1])


def _goals_of_pipelines(table: Table, figures: Figures) -> None:
    """Against calls one by one that were measured beside them."""
    for kind in ("ours", "ours-unix"):
        rate, pipelined = figures[kind, "small", 1][2], figures[kind, "pipelined", 1][2]
        text = f"{NAMES[kind]}: 32 in flight at least 6x the calls a second of one ({pipelined / rate:.1f}x)"
        table.goal(text, met=pipelined >= 6 * rate)


def _cpu_of(figures: Figures, kind: str, what: str) -> float:
    client, server, _ = figures[kind, what, 1]
    return client + server


def _start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.peers.rpc", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _cpu(process: subprocess.Popen[Any]) -> float:
    """Seconds of CPU that a process has used, to the nanosecond: its clock, as clock_getcpuclockid(3) makes it."""
    return time.clock_gettime((~process.pid << 3) | 2)
