"""What processes cost: a synchronized start and its end, and the output of a program; against the patterns they replace."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

from bench.table import Table, median
from wayhouse.runtime import cmd
from wayhouse.runtime.pipe import Pipe
from wayhouse.runtime.process import Process
from wayhouse.runtime.zygote import Zygote

ROUNDS = 30
BULK = ["head", "-c", "2000000", "/dev/zero"]
BALLAST_MB = 200
STEP_S = 0.1
PAUSE_S = 0.02
ROW = 10
IN_A_ROW = "each of 10 starts in a row, large owner: `Zygote.spawn`"


def run() -> Table:
    table = Table(
        "Processes",
        f"Medians of {ROUNDS} interleaved rounds. A start is synchronized: it returns when the child has its signal handlers; "
        "an end is until the status is known. 'Polled' waits for a child as AVE did: it asks each 0.1 s. The large owner holds "
        f"{BALLAST_MB} MB. Before each is a pause of {PAUSE_S * 1000:.0f} ms, in which a `Zygote` forks its next child. Output: 2 MB of zeros from `head`.",
        ("what", "ms", "against the first of its kind"),
    )
    starts = _starts()
    _rows(table, starts)
    outputs = _interleaved(
        {
            "2 MB of output: a bare subprocess pipe": _bare,
            "2 MB of output: `cmd.run(pty=False)`": lambda: cmd.run(BULK, pty=False),
            "2 MB of output: `cmd.run` on a terminal": lambda: cmd.run(BULK),
        }
    )
    _rows(table, outputs)
    polled, ours, *_ = starts.values()
    bare, piped, _ = outputs.values()
    table.goal(
        f"a synchronized start and its end at least 7 times faster than polled ({polled / ours:.0f})",
        met=polled >= 7 * ours,
    )
    table.goal(
        f"2 MB with `pty=False` within 1.5 times a bare pipe ({piped / bare:.2f})", met=piped <= 1.5 * bare
    )
    return table


def _starts() -> dict[str, float]:
    zygote = Zygote()
    zygote.start()
    try:
        small = _interleaved(
            {"start and end: fork, polled": _polled, "start and end: `Process`": _process}, ROUNDS
        )
        ballast = bytearray(os.urandom(1 << 20) * BALLAST_MB)
        large = _interleaved(
            {
                "start and end, large owner: `Process`": _process,
                "start and end, large owner: `Zygote.spawn`": lambda: zygote.spawn("os:getpid").join(10),
                "start alone, large owner: `Zygote.spawn`": lambda: zygote.spawn("os:getpid"),
                IN_A_ROW: lambda: [zygote.spawn("os:getpid") for _ in range(ROW)],
            }
        )
        del ballast
        large[IN_A_ROW] /= ROW
    finally:
        zygote.close()
    return {**small, **large}


def _interleaved(ways: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Milliseconds, by name."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            time.sleep(PAUSE_S)
            begun = time.perf_counter()
            way()
            took[name].append((time.perf_counter() - begun) * 1000)
    return {name: median(values) for name, values in took.items()}


def _rows(table: Table, measured: dict[str, float]) -> None:
    first = next(iter(measured.values()))
    for name, value in measured.items():
        table.add(name, f"{value:.2f}", f"{value / first:.2f}x")


def _nothing() -> None:
    return


def _process() -> None:
    process = Process(_nothing)
    process.start(synchronize=True)
    process.join(10)


def _polled() -> None:
    """The same child, waited for by asking, then sleeping."""
    pipe = Pipe()
    pid = os.fork()
    if pid == 0:
        pipe.put(os.getpid())
        os._exit(0)
    pipe.get()
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        time.sleep(STEP_S)
    pipe.close()


def _bare() -> None:
    subprocess.run(
        BULK, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=True
    )
