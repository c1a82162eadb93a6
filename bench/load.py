"""Load on loopback: wrk for requests, psutil for the CPU that the server needs for them."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.request
from dataclasses import dataclass

import psutil


@dataclass
class Load:
    per_second: float
    cpu_us: float
    """CPU time of the server for one request, in microseconds."""
    errors: int


def load(url: str, pid: int, *, token: str | None = None, seconds: int = 3, connections: int = 16) -> Load:
    process = psutil.Process(pid)
    headers = ["-H", f"Authorization: Bearer {token}"] if token else []
    before = sum(process.cpu_times()[:2])
    out = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *headers, url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    used = sum(process.cpu_times()[:2]) - before
    found = re.search(r"(\d+) requests in", out)
    count = int(found.group(1)) if found else 0
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return Load(
        float(rate.group(1)) if rate else 0.0,
        used / max(count, 1) * 1e6,
        int(errors.group(1)) if errors else 0,
    )


def until_200(url: str, token: str | None = None, *, timeout_s: float = 30.0) -> float:
    """Seconds until `url` answers 200."""
    begun = time.perf_counter()
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    while time.perf_counter() - begun < timeout_s:
        try:
            with urllib.request.urlopen(request, timeout=2) as reply:
                if reply.status == 200:
                    return time.perf_counter() - begun
        except OSError:
            time.sleep(0.002)
    raise TimeoutError(url)


def memory_mb(pid: int) -> tuple[float, float]:
    """(private, resident) of the process and all its children, in MB; a page that n of them share is in resident n times."""
    found = [one.memory_full_info() for one in tree(pid)]
    return sum(one.uss for one in found) / 1e6, sum(one.rss for one in found) / 1e6


def proportional_mb(pid: int) -> float:
    """(PSS) of the process and all its children, in MB: a page that n processes share is in each of them by its nth part."""
    return float(sum(one.memory_full_info().pss for one in tree(pid))) / 1e6


def tree(pid: int) -> list[psutil.Process]:
    """The process, its children and theirs."""
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def cpu_s(pid: int) -> float:
    """Seconds that the process has used, all threads: its clock, as clock_getcpuclockid(3) makes it; finer than psutil's ticks."""
    return time.clock_gettime((~pid << 3) | 2)
