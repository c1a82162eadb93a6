"""What a gateway costs when nothing happens: start to the first answer, memory, CPU."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import psutil

from bench.gateways import running, token_of
from bench.load import memory_mb, proportional_mb, tree, until_200
from bench.table import Table, median
from tests.parts.gateway import GatewayProcess

KEEPER = ("-m", "wayhouse.gateway.keeper")


def run() -> Table:
    table = Table(
        "Idle",
        "A fresh gateway without apps; start is from the process being started to the first 200 of `/healthz` (5 starts, "
        "median, the first one ever apart), as `wayhouse up` starts it: keeper, daemon, bus and Titanic, all of which count for memory (5 s after one page view "
        "and one sign-in) and CPU. Resident counts a page that processes share in each of them; proportional (PSS) counts each page of memory once.",
        ("what", "measured"),
    )
    with tempfile.TemporaryDirectory() as folder:
        starts = [_start(Path(folder)) for _ in range(6)]
        with running(Path(folder), command=KEEPER) as gateway:
            assert gateway.process is not None
            pid = gateway.process.pid
            until_200(gateway.url + "/sign-in")
            token_of(gateway)
            _until_all(pid)
            time.sleep(5)
            names = [_name(one) for one in tree(pid)]
            private, resident = memory_mb(pid)
            proportional = proportional_mb(pid)
            each = [f"{_name(one)} {one.memory_full_info().pss / 1e6:.1f}" for one in tree(pid)]
            before = _cpu_s(pid)
            time.sleep(10)
            busy = (_cpu_s(pid) - before) / 10 * 100
    start = median(starts[1:])
    table.add("start to first 200", f"{start:.2f} s (first ever {starts[0]:.2f} s)")
    table.add("processes", f"{len(names)}: {', '.join(names)}")
    table.add("memory, private", f"{private:.1f} MB")
    table.add("memory, proportional", f"{proportional:.1f} MB ({', '.join(each)})")
    table.add("memory, resident", f"{resident:.1f} MB")
    table.add("CPU when idle", f"{busy:.2f} % of a core")
    table.goal(f"start under 1 s ({start:.2f} s)", met=start < 1.0)
    table.goal(
        f"resident memory of all {len(names)} processes, shared pages counted in each, under 80 MB ({resident:.1f} MB)",
        met=resident < 80,
    )
    return table


PARTS = {"keeper": "keeper", "bus.server": "bus", "titanic_server": "Titanic"}


def _name(process: psutil.Process) -> str:
    """Of a process of the gateway, by its command line."""
    line = " ".join(process.cmdline())
    return next((name for part, name in PARTS.items() if part in line), "daemon")


def _until_all(pid: int) -> None:
    """The bus comes up after the first answer."""
    end = time.monotonic() + 30
    while not {"bus", "Titanic"} <= {_name(one) for one in tree(pid)}:
        if time.monotonic() > end:
            raise TimeoutError("the bus does not come up")
        time.sleep(0.05)


def _cpu_s(pid: int) -> float:
    return float(sum(sum(one.cpu_times()[:2]) for one in tree(pid)))


def _start(folder: Path) -> float:
    gateway = GatewayProcess(folder / "data", command=KEEPER)
    begun = time.perf_counter()
    gateway.start(ready=False)
    until_200(gateway.url + "/healthz")
    took = time.perf_counter() - begun
    gateway.stop()
    return took
