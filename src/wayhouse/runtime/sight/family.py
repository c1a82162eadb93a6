"""The processes of a product as a tree, from /proc alone: who, whose child, since when, and what each uses.

Called by `sight.py`. Rules: the parsers are pure and take anything; processes vanish between two reads, and what vanished is
left out; what the kernel does not let this user see is None, never a guess. No memory or environment is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from wayhouse.runtime.sight import command_line
from wayhouse.runtime.sight.proc_stat import PROC, TICKS_PER_S, Stat, parse_stat, read_stat

_OPEN_FILES = "Max open files"


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a process from elsewhere. `role` "" and `ready` None mean unknown; `belongs_to` is the app it works for;
    `below` is the role of its descendants."""

    name: str = ""
    role: str = ""
    belongs_to: str = ""
    ready: bool | None = None
    below: str = "helper"


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One process. `depth` is 0 for those whose parent is no member, and members come in the order of the tree; `state` is
    proc(5)'s letter; None: the kernel does not tell this user."""

    pid: int
    ppid: int
    depth: int
    name: str
    role: str
    belongs_to: str
    ready: bool | None
    state: str
    uptime_s: float
    rss_bytes: int
    pss_bytes: int | None
    cpu_s: float
    threads: int
    descriptors: int | None
    descriptor_limit: int | None
    command: str


def family(labels: Mapping[int, Label], *, pss: bool = False, proc: Path = PROC) -> list[Member]:
    """The labelled processes that run, and all their descendants. `pss` costs milliseconds for each. Blocking."""
    now_s = _uptime_s(proc)
    found = _all_stats(proc)
    members: list[Member] = []
    for stat, label, depth in tree(found, labels):
        member = _member(stat, label, depth, now_s, pss=pss, proc=proc)
        if member is not None:
            members.append(member)
    return members


def tree(stats: Mapping[int, Stat], labels: Mapping[int, Label]) -> Iterator[tuple[Stat, Label, int]]:
    """(process, label, depth), parents before their children, the older first. Pure; a circle of parents does not hang it."""
    children: dict[int, list[Stat]] = {}
    for stat in sorted(stats.values(), key=lambda one: (one.started, one.pid)):
        children.setdefault(stat.ppid, []).append(stat)
    seen: set[int] = set()
    tops = sorted(
        (pid for pid in labels if pid in stats and not _is_below(pid, stats, labels)), key=_age(stats)
    )
    waiting = [(stats[pid], labels[pid], 0) for pid in reversed(tops)]
    while waiting:
        stat, label, depth = waiting.pop()
        if stat.pid in seen:
            continue
        seen.add(stat.pid)
        yield stat, label, depth
        inherited = Label(role=label.below, belongs_to=label.belongs_to, below=label.below)
        below = children.get(stat.pid, ())
        waiting += [(child, labels.get(child.pid, inherited), depth + 1) for child in reversed(below)]


def parse_limit(text: str) -> int | None:
    """The soft limit of open files in /proc/PID/limits; None for none, or for a text that does not say."""
    line = next((line for line in text.splitlines() if line.startswith(_OPEN_FILES)), "")
    words = line.removeprefix(_OPEN_FILES).split()
    return _whole(words[0]) if words else None


def parse_pss(text: str) -> int | None:
    """Bytes, from /proc/PID/smaps_rollup."""
    line = next((line for line in text.splitlines() if line.startswith("Pss:")), "")
    words = line.split()
    kib = _whole(words[1]) if len(words) == 3 else None
    return None if kib is None else kib * 1024


def parse_uptime(text: str) -> float:
    """Seconds since boot, from /proc/uptime; 0.0 for another text."""
    word = text.partition(" ")[0]
    whole, _, part = word.partition(".")
    return float(word) if _whole(whole) is not None and (not part or _whole(part) is not None) else 0.0


def _is_below(pid: int, stats: Mapping[int, Stat], labels: Mapping[int, Label]) -> bool:
    """Whether an ancestor has a label too."""
    seen = {pid}
    parent = stats[pid].ppid
    while parent in stats and parent not in seen:
        if parent in labels:
            return True
        seen.add(parent)
        parent = stats[parent].ppid
    return False


def _age(stats: Mapping[int, Stat]) -> Callable[[int], tuple[int, int]]:
    return lambda pid: (stats[pid].started, pid)


def _member(stat: Stat, label: Label, depth: int, now_s: float, *, pss: bool, proc: Path) -> Member | None:
    """None when it has ended since, or its pid is another's now."""
    place = proc / str(stat.pid)
    command = command_line.shown(_bytes(place / "cmdline"))
    descriptors = _count(place / "fd")
    limit = parse_limit(_text(place / "limits"))
    share = parse_pss(_text(place / "smaps_rollup")) if pss else None
    now = read_stat(stat.pid, proc)
    if now is None or now.started != stat.started:
        return None
    return Member(
        pid=now.pid,
        ppid=now.ppid,
        depth=depth,
        name=label.name or now.name,
        role=label.role,
        belongs_to=label.belongs_to,
        ready=label.ready,
        state=now.state,
        uptime_s=round(max(0.0, now_s - now.started / TICKS_PER_S), 2),
        rss_bytes=now.rss_bytes,
        pss_bytes=share,
        cpu_s=round(now.cpu_s, 2),
        threads=now.threads,
        descriptors=descriptors,
        descriptor_limit=limit,
        command=command,
    )


def _all_stats(proc: Path) -> dict[int, Stat]:
    found = (parse_stat(_text(proc / name / "stat")) for name in os.listdir(proc) if name.isdigit())  # noqa: PTH208
    return {stat.pid: stat for stat in found if stat is not None}


def _uptime_s(proc: Path) -> float:
    return parse_uptime(_text(proc / "uptime"))


def _count(directory: Path) -> int | None:
    try:
        return len(os.listdir(directory))  # noqa: PTH208 - names, not paths
    except OSError:
        return None


def _text(path: Path) -> str:
    return _bytes(path).decode("utf-8", "replace")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _whole(word: str) -> int | None:
    return int(word) if word.isascii() and word.isdigit() and len(word) < 20 else None
