"""What the kernel tells of a process that cannot tell itself: what each thread waits for. For apps and other foreign programs.

Called by `sight.py`. Rules: names and numbers of calls alone; never arguments, memory or environment; what this user may not
read is left out.
"""

from __future__ import annotations

import platform
from pathlib import Path

from wayhouse.runtime.sight.proc_stat import PROC, Stat, list_threads, parse_stat

MAX_THREADS = 100
STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting in the kernel for a device",
    "T": "stopped",
    "t": "stopped by a debugger",
    "I": "idle",
    "Z": "ended, not reaped",
    "X": "dead",
}
_X86_64 = {
    0: "read", 1: "write", 3: "close", 7: "poll", 23: "select", 34: "pause", 35: "nanosleep", 42: "connect", 43: "accept",
    44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 61: "wait4", 73: "flock", 74: "fsync", 75: "fdatasync",
    128: "rt_sigtimedwait", 130: "rt_sigsuspend", 202: "futex", 230: "clock_nanosleep", 232: "epoll_wait", 247: "waitid",
    257: "openat", 270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 288: "accept4", 441: "epoll_pwait2",
}  # fmt: skip
_GENERIC = {
    22: "epoll_pwait", 32: "flock", 56: "openat", 57: "close", 63: "read", 64: "write", 72: "pselect6", 73: "ppoll",
    82: "fsync", 83: "fdatasync", 95: "waitid", 98: "futex", 101: "nanosleep", 115: "clock_nanosleep", 133: "rt_sigsuspend",
    137: "rt_sigtimedwait", 202: "accept", 203: "connect", 206: "sendto", 207: "recvfrom", 211: "sendmsg", 212: "recvmsg",
    242: "accept4", 260: "wait4", 441: "epoll_pwait2",
}  # fmt: skip
CALLS: dict[str, dict[int, str]] = {"x86_64": _X86_64, "aarch64": _GENERIC, "riscv64": _GENERIC}
"""Numbers of the calls in which programs wait, by machine."""


def kernel_view(pid: int, proc: Path = PROC) -> str:
    """A line for each thread, with its kernel stack where that can be read; "" when the process is gone. Blocking."""
    threads = list_threads(pid, proc)
    lines = [line for tid in threads[:MAX_THREADS] for line in _thread(proc / str(pid) / "task" / str(tid))]
    if len(threads) > MAX_THREADS:
        lines.append(f"and {len(threads) - MAX_THREADS} threads more")
    return "".join(f"{line}\n" for line in lines)


def parse_call(text: str, machine: str) -> str:
    """/proc/PID/syscall in words; "" when it is in none, or for a text of another shape."""
    word = text.partition(" ")[0].strip()
    if not word.isascii() or not word.isdigit() or len(word) > 6:
        return ""
    return CALLS.get(machine, {}).get(int(word), f"call {int(word)}")


def _thread(place: Path) -> list[str]:
    stat = parse_stat(_text(place / "stat"))
    if stat is None:
        return []
    call = parse_call(_text(place / "syscall"), platform.machine())
    channel = _text(place / "wchan").strip()
    facts = [_state(stat), f"in {call}" if call else "", f"at {channel}" if channel not in {"", "0"} else ""]
    stack = [
        f"    {line.strip().removeprefix('[<0>] ')}"
        for line in _text(place / "stack").splitlines()
        if line.strip()
    ]
    return [
        f"thread {stat.pid} {_printable(stat.name)!r}: {', '.join(fact for fact in facts if fact)}",
        *stack,
    ]


def _state(stat: Stat) -> str:
    return STATES.get(stat.state, f"state {stat.state}")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
