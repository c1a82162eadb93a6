"""What a gateway costs when nothing happens: start to the first answer, memory, CPU."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import psutil

from bench.gateways import running, token_of
from bench.load import memory_mb, until_200
from bench.table import Table, median
from tests.parts.gateway import GatewayProcess

KEEPER = ("-m", "wayhouse.gateway.keeper")


def run() -> Table:
    table = Table(
        "Idle",
        "A fresh gateway without apps; start is from the process being started to the first 200 of `/healthz` (5 starts, "
        "median, the first one ever apart), as `wayhouse up` starts it: a keeper and the daemon; memory of both 5 s after one page view and one sign-in.",
        ("what", "measured"),
    )
    with tempfile.TemporaryDirectory() as folder:
        starts = [_start(Path(folder)) for _ in range(6)]
        with running(Path(folder), command=KEEPER) as gateway:
            assert gateway.process is not None
            until_200(gateway.url + "/sign-in")
            token_of(gateway)
            time.sleep(5)
            private, resident = memory_mb(gateway.process.pid)
            before = _cpu_s(gateway.process.pid)
            time.sleep(10)
            busy = (_cpu_s(gateway.process.pid) - before) / 10 * 100
    start = median(starts[1:])
    table.add("start to first 200", f"{start:.2f} s (first ever {starts[0]:.2f} s)")
    table.add("memory, private", f"{private:.1f} MB")
    table.add("memory, resident", f"{resident:.1f} MB")
    table.add("CPU when idle", f"{busy:.2f} % of a core")
    table.goal(f"start under 1 s ({start:.2f} s)", met=start < 1.0)
    table.goal(f"resident memory of all processes under 80 MB ({resident:.1f} MB)", met=resident < 80)
    return table


def _cpu_s(pid: int) -> float:
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in processes)


def _start(folder: Path) -> float:
    gateway = GatewayProcess(folder / "data", command=KEEPER)
    begun = time.perf_counter()
    gateway.start(ready=False)
    until_200(gateway.url + "/healthz")
    took = time.perf_counter() - begun
    gateway.stop()
    return took
