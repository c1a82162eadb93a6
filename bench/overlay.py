"""The overlay's data plane: rate and CPU per GB of the built-in engine, beside other overlays and the bare wire, on the same two namespaces.

A measurement that fails, as when iperf3's own connection is lost in a flood, is said and tried once more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench.peers.overlays import ALL
from bench.table import Table, median
from tests.parts import native_engine
from tests.parts.wire_lab import INNER, OUTER, WireLab

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
OURS, PURE, GO, WIRE = "Wayhouse's engine, compiled", "Wayhouse's engine", "wireguard-go", "the bare wire"
TRIES = 2
TICKS = os.sysconf("SC_CLK_TCK")


class Case(NamedTuple):
    """`offload` and `loss` are the wire's (see `WireLab`), `words` are iperf3's."""

    name: str
    offload: str
    loss: int
    words: tuple[str, ...]


ONE, EIGHT, NO_GRO, LOSS, BACK, SMALL = (
    Case("1 flow", "real", 0, ()),
    Case("8 flows", "real", 0, ("-P", "8")),
    Case("no GRO", "off", 0, ()),
    Case("1 % loss", "real", 10, ()),
    Case("bundled", "virtual", 0, ()),
    Case("small packets", "off", 0, ("-u", "-b", "0", "-l", "100")),
)
CASES = (ONE, EIGHT, NO_GRO, LOSS, BACK, SMALL)


class Figure(NamedTuple):
    """`rate` in Mb/s, or in thousands of packets a second for small packets; CPU in s/GB (s a million packets) of the sender and receiver."""

    rate: float
    sender: float
    receiver: float


def run() -> Table:
    table = Table(
        "Overlay",
        f"TCP through the tunnel for {SECONDS} s, medians of {ROUNDS} interleaved rounds; two network namespaces, one veth with an MTU of 1500 "
        "whose card cuts nothing (`tx-udp-segmentation` and TSO off, software GRO on), as a plain network card is. Rate in Mb/s, and CPU "
        "(user and system) of the two tunnel processes in s per GB received, sender / receiver; the kernel's work for TCP itself is in it where "
        "it is done on a tunnel's write. *No GRO*: the receiving card joins nothing. *1 % loss*: of outer datagrams, both ways. *Bundled*: the "
        "veth hands UDP over uncut, as between two virtual machines. *Small packets*: UDP of 100 bytes as fast as it goes without GRO, every packet "
        "alone: thousands of packets a second received, and CPU in s per million. All tunnels: MTU 1420, the programs' own ciphers. *Compiled* is with "
        "what `make fast` builds; goals are for it where there is a compiler.",
        ("program", *(f"{case.name}: rate / CPU" for case in CASES)),
    )
    programs = [name for name, (needed, _) in ALL.items() if shutil.which(needed)]
    if native_engine.missing():
        programs.remove(OURS)
    found: dict[tuple[str, Case], list[Figure]] = {}
    for _ in range(ROUNDS):
        for case in CASES:
            for name in (WIRE, *programs):
                figure = _try(name, case)
                if figure is not None:
                    found.setdefault((name, case), []).append(figure)
    middle = {key: _median(figures) for key, figures in found.items()}
    for name in (WIRE, *programs):
        table.add(name, *(_cell(middle.get((name, case)), has_cpu=name != WIRE) for case in CASES))
    if GO in programs:
        _goals(table, middle, OURS if OURS in programs else PURE)
    return table


def _try(name: str, case: Case) -> Figure | None:
    for _ in range(TRIES):
        try:
            return _measure(name, case)
        except (AssertionError, ArithmeticError, KeyError, ValueError, subprocess.SubprocessError) as error:
            print(f"{name}, {case.name}: {type(error).__name__} {error}", file=sys.stderr)
    return None


def _median(figures: list[Figure]) -> Figure:
    return Figure(*(median(values) for values in zip(*figures, strict=True)))


def _cell(figure: Figure | None, *, has_cpu: bool) -> str:
    if figure is None:
        return "failed"
    cpu = f" / {figure.sender:.1f} + {figure.receiver:.1f}" if has_cpu else ""
    return f"{figure.rate:,.0f}{cpu}"


def _goals(table: Table, middle: dict[tuple[str, Case], Figure], best: str) -> None:
    measured = {case for case in CASES if (best, case) in middle and (GO, case) in middle}
    for case in (one for one in (ONE, EIGHT) if one in measured):
        ours, other = middle[best, case], middle[GO, case]
        cpu = (other.sender + other.receiver) / (ours.sender + ours.receiver)
        table.goal(
            f"{case.name}: at most 1/2.5 of wireguard-go's CPU per GB ({cpu:.2f}x less)", met=cpu >= 2.5
        )
        table.goal(
            f"{case.name}: twice its rate ({ours.rate / other.rate:.2f}x)", met=ours.rate >= 2 * other.rate
        )
    for case in (one for one in (NO_GRO, LOSS, SMALL) if one in measured):
        ratio = middle[best, case].rate / middle[GO, case].rate
        table.goal(f"{case.name}: at least wireguard-go's rate ({ratio:.2f}x)", met=ratio >= 1)


def _measure(name: str, case: Case) -> Figure:
    with tempfile.TemporaryDirectory() as folder, WireLab(case.offload, loss=case.loss) as lab:
        if name == WIRE:
            return _transfer(lab, OUTER[4][1], [], case)
        processes = ALL[name][1](lab, Path(folder))
        _wait(lab)
        return _transfer(lab, INNER[4][1], list(processes), case)


def _wait(lab: WireLab) -> None:
    """Until a connection gets through to the other side, where nobody listens."""
    code = (
        "import socket, sys\ns = socket.socket()\ns.settimeout(1)\n"
        f"sys.exit(0 if s.connect_ex(('{INNER[4][1]}', 9)) == 111 else 1)"
    )
    until = time.monotonic() + 20
    while time.monotonic() < until:
        words = ["ip", "netns", "exec", lab.names[0], "python3", "-c", code]
        if subprocess.run(words, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError("the tunnel does not come up")


def _transfer(lab: WireLab, host: str, processes: list[subprocess.Popen[Any]], case: Case) -> Figure:
    with lab.iperf_server(1):
        before = [_cpu(process.pid) for process in processes]
        end = lab.iperf(0, host, "-t", str(SECONDS), *case.words)
        after = [_cpu(process.pid) for process in processes]
    if case is SMALL:
        total = end["sum"]
        amount = total["packets"] * (1 - total["lost_percent"] / 100) / 1e6
        rate = amount * 1000 / total["seconds"]
    else:
        amount = end["sum_received"]["bytes"] / 1e9
        rate = end["sum_received"]["bits_per_second"] / 1e6
    used = [(now - then) / amount for now, then in zip(after, before, strict=True)] or [0.0, 0.0]
    return Figure(rate, *used)


def _cpu(pid: int) -> float:
    """User and system seconds. `ip netns exec` replaces itself by the program, so that the pid is the program's."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
