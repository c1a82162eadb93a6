"""`python -m bench [name ...]`: measure all, or those named, and write their tables to docs/benchmarks.md in place of the older ones."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bench import (
    bus,
    bus_scale,
    clone,
    fuzz,
    idle,
    install,
    overlay,
    processes,
    requests,
    rpc,
    scale,
    things,
    titanic,
    upgrade,
    watchers,
    wireguard,
)
from bench.table import Table

ALL = {
    "requests": requests,
    "install": install,
    "watchers": watchers,
    "idle": idle,
    "scale": scale,
    "things": things,
    "rpc": rpc,
    "processes": processes,
    "upgrade": upgrade,
    "titanic": titanic,
    "bus": bus,
    "clone": clone,
    "bus_scale": bus_scale,
    "fuzz": fuzz,
    "overlay": overlay,
    "wireguard": wireguard,
}
NEEDS = {
    "requests": ["wrk", "--version"],
    "scale": ["wrk", "--version"],
    "install": ["docker", "info"],
    "overlay": ["iperf3", "--version"],
}
"""A command for each benchmark that needs a part from outside; it has to be found, and `docker info` to find its engine."""
REPORT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `make bench`; each table says how it was measured and against what. Figures are of one run on one machine: trust the
ratios, and CPU before wall-clock time. Goals are checked by hand, not by tests.

"""


def main() -> int:
    names = sys.argv[1:] or list(ALL)
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no benchmark called {', '.join(unknown)}; there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    for name in names:
        if not _is_there(NEEDS.get(name)):
            print(f"{name} is skipped: `{' '.join(NEEDS[name])}` does not work here\n", flush=True)
            continue
        table = ALL[name].run()
        print(table.markdown(), flush=True)
        _write(table)
    return 0


def _is_there(command: list[str] | None) -> bool:
    if command is None:
        return True
    if shutil.which(command[0]) is None:
        return False
    ended = subprocess.run(command, capture_output=True, check=False)
    return ended.returncode == 0 or command[0] != "docker"  # wrk answers 1 when asked for its version


def _write(table: Table) -> None:
    """Put `table` in the place of its section, or at the end; the others stay as they are."""
    text = REPORT.read_text(encoding="utf-8") if REPORT.exists() else ""
    sections = {part.splitlines()[0]: part.strip() for part in re.split(r"(?m)^(?=## )", text)[1:]}
    sections[f"## {table.title}"] = table.markdown().strip()
    system = f"Linux {platform.release().split('-')[0]}, {platform.machine()}, {os.cpu_count()} cores"
    machine = f"Python {platform.python_version()}, {system}.\n\n"
    REPORT.write_text(HEAD + machine + "\n\n".join(sections.values()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
