"""`python -m bench [name ...]`: measure all, or those named; a full run rewrites docs/benchmarks.md."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from bench import idle, install, processes, requests, rpc, scale, watchers

ALL = {
    "requests": requests,
    "install": install,
    "watchers": watchers,
    "idle": idle,
    "scale": scale,
    "rpc": rpc,
    "processes": processes,
}
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
    parts = []
    for name in names:
        part = ALL[name].run().markdown()
        print(part, flush=True)
        parts.append(part)
    if len(names) == len(ALL):
        machine = f"Python {platform.python_version()}, Linux {platform.release().split('-')[0]}, {platform.machine()}, 2 cores.\n\n"
        REPORT.write_text(HEAD + machine + "\n".join(parts), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
