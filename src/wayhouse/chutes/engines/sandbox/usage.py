"""What a tree of processes uses, from /proc: for hosts whose control groups we may not write."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from wayhouse.chutes.ports import Usage


def tree_usage(first: int) -> Usage:
    """Sums process `first` and all its descendants; processes that end meanwhile are left out."""
    parents = _parents()
    family = {first}
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in family} - family
        family |= children
        grown = bool(children)
    cpu, memory, count = 0.0, 0, 0
    for pid in family:
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            cpu += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            memory += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
            count += 1
    return Usage(cpu, memory, count)


def _parents() -> dict[int, int]:
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                found[int(entry.name)] = int(fields[1])
    return found
