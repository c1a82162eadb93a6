"""One line of /proc/PID/stat, and who a process is: what traces and the family tree agree on.

Called by `trace_box.py`, `trace_ask.py`, `family.py` and `kernel_view.py`. Rules: the parser is pure and takes anything; a pid
alone names nobody, a pid with its start time does. Standard library alone, since small processes import it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
OVER = frozenset("ZXx")
"""States of a process that only waits to be reaped."""
_FIELDS = 22
_MAX_NUMBER = 2**63


class Stat(NamedTuple):
    """proc(5), the fields that are used here. `cpu_s` is in seconds, `started` in clock ticks since boot."""

    pid: int
    name: str
    state: str
    ppid: int
    cpu_s: float
    threads: int
    started: int
    rss_bytes: int


def parse_stat(text: str) -> Stat | None:
    """None for what is no such line. The name may hold spaces and parentheses."""
    before, _, after = text.rpartition(")")
    pid, _, name = before.partition(" (")
    fields = after.split()
    if len(fields) < _FIELDS or len(fields[0]) != 1:
        return None
    wanted = [
        _number(word) for word in (pid, fields[1], fields[11], fields[12], *fields[17:20:2], fields[21])
    ]
    numbers = [number for number in wanted if number is not None]
    if len(numbers) != len(wanted):
        return None
    number, ppid, user, system, threads, started, pages = numbers
    cpu_s = (user + system) / TICKS_PER_S
    return Stat(number, name, fields[0], ppid, cpu_s, threads, started, pages * PAGE_BYTES)


def read_stat(pid: int, proc: Path = PROC) -> Stat | None:
    """None for a process that is gone or only waits to be reaped."""
    try:
        stat = parse_stat((proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return stat if stat is not None and stat.state not in OVER else None


def boot_id(proc: Path = PROC) -> str:
    """Changes with every boot; "" where the kernel does not tell."""
    try:
        return (proc / "sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def parse_status(text: str) -> dict[str, str]:
    """/proc/PID/status as `{"Name": "python", "Uid": "0 0 0 0", ...}`; lines of another shape are left out."""
    rows = (line.partition(":") for line in text.splitlines())
    return {name: " ".join(value.split()) for name, colon, value in rows if colon}


def read_status(pid: int, tid: int | None = None, proc: Path = PROC) -> dict[str, str]:
    """Of a process, or of its thread `tid`; {} when it is gone."""
    place = proc / str(pid) if tid is None else proc / str(pid) / "task" / str(tid)
    try:
        return parse_status((place / "status").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}


def list_threads(pid: int, proc: Path = PROC) -> list[int]:
    """Their ids, the main one first; [] when the process is gone."""
    try:
        return sorted(int(name) for name in os.listdir(proc / str(pid) / "task") if name.isdigit())  # noqa: PTH208
    except OSError:
        return []


def _number(word: str) -> int | None:
    if not word.isascii() or not word.isdigit() or len(word) > 20:
        return None
    number = int(word)
    return number if number < _MAX_NUMBER else None
