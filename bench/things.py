"""Devices and automation in the real daemon: what a reading, a fact, a scenario that fires, a job and a thing in memory cost."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench.gateways import running
from bench.load import cpu_s
from bench.table import Table, median
from tests.parts.gateway import GatewayProcess
from wayhouse.automation.cron import Cron, Now
from wayhouse.automation.model import Job, Place
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.publisher import KvPublisherClient, KvSubscriberClient

DEVICES = (10, 100, 994)
"""With the six of the fake house the last makes a thousand, which is as many as there may be."""
SCENARIOS = (10, 100, 1000)
"""The last is as many as there may be."""
JOBS = (10, 100, 1000)
MEASURE_S = 20.0
FIRINGS = 100
FACTS = 500
LISTS = 50
YEAR_S, DAY_S = 365 * 86400.0, 86400.0
WALL = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
MANY_JOBS, DIFFERENT = 1000, 500
READING_S, FIRING_S, RUN_S = 100e-6, 0.1, 50e-6
"""Goals: of the daemon's CPU for a reading with as many devices as there may be; until a scenario's first line; of CPU for a run of a job."""
CODE = """
begun = now()
command("lamp", "power", value("go") % 2 == 1)
variables["told"] = f"{value('go')} {begun.timestamp()} {now().timestamp()}"
"""
NEVER = {"is": "above", "source": "it", "value": 1e9}


def run(
    devices: tuple[int, ...] = DEVICES,
    scenarios: tuple[int, ...] = SCENARIOS,
    jobs: tuple[int, ...] = JOBS,
    *,
    measure_s: float = MEASURE_S,
    firings: int = FIRINGS,
) -> Table:
    table = Table(
        "Devices and automation",
        f"The real daemon with its fake devices and its bus. CPU is the daemon's alone; that of the bus, two processes, is beside it. Thermometers "
        f"are read each second for {measure_s:g} s, each reading kept, in the history and on the clone; what the daemon uses with none is taken off. A "
        f"scenario that only watches has a condition that never comes true. It fires {firings} times, one after the other: from a key being sent to "
        "the clone, by a program outside, to what `now()` says in the first line and after a durable request to a device; a process is started for each "
        "run. Jobs are the machine alone: a year of those that run once a week, each at a time of its own, over both turns of the clock; and a day of "
        f"{MANY_JOBS:,} that run each minute, all on one line, and on {DIFFERENT} different ones that come to the same.",
        ("what", "measured", "CPU of the daemon", "CPU of the bus"),
    )
    for count in devices:
        with _gateway() as daemon:
            _readings(table, daemon, count, measure_s)
            if count == devices[-1]:
                _list(table, daemon)
    for count in scenarios:
        with _gateway() as daemon:
            _facts(table, daemon, count)
    with _gateway() as daemon:
        _firing(table, daemon, firings)
    for count in jobs:
        _year(table, count)
    _each_minute(table, 1)
    _each_minute(table, DIFFERENT)
    return table


class Daemon:
    """A gateway with the fake house, and the clocks of its processes."""

    def __init__(self, gateway: GatewayProcess) -> None:
        assert gateway.process is not None
        self.gateway = gateway
        self.process = psutil.Process(gateway.process.pid)
        self.bus = [one for one in self.process.children() if "wayhouse.bus" in " ".join(one.cmdline())]
        endpoints = gateway.request("GET", "/api/v1/bus")[1]["endpoints"]
        self.clone = Endpoints.of("127.0.0.1", int(endpoints["broker"].rpartition(":")[2]))

    def cpu(self) -> tuple[float, float]:
        """Seconds: the daemon, the bus."""
        return cpu_s(self.process.pid), sum(cpu_s(one.pid) for one in self.bus)

    def spent(self, work: Callable[[], object]) -> tuple[float, float]:
        before = self.cpu()
        work()
        after = self.cpu()
        return after[0] - before[0], after[1] - before[1]

    def private_kb(self) -> float:
        return float(self.process.memory_full_info().uss) / 1e3

    def post_all(self, path: str, bodies: list[Mapping[str, Any]]) -> None:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda body: self.gateway.request("POST", path, body), bodies))
        refused = [answer for answer in answers if answer[0] not in {200, 201}]
        assert not refused, refused[0]

    def readings(self) -> int:
        found: int = self.gateway.request("GET", "/api/v1/device-drivers")[1][0]["counts"]["readings"]
        return found

    def watch(self, count: int, source: Callable[[int], str]) -> None:
        """So many scenarios, awake, which never fire."""
        bodies: list[Mapping[str, Any]] = [
            {
                "name": f"watcher {number}", "conf": {"active": True}, "entries": {"it": source(number)},
                "when": NEVER, "code": "pass",
            }
            for number in range(count)
        ]  # fmt: skip
        self.post_all("/api/v1/scenarios", bodies)


@contextmanager
def _gateway() -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "data" / "config" / "wayhouse.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text("[devices]\nfake = true\n", encoding="ascii")
        with running(Path(folder)) as gateway:
            _until(lambda: gateway.request("GET", "/api/v1/bus")[1]["processes"][0]["is_ready"])
            _until(lambda: len(gateway.request("GET", "/api/v1/devices")[1]) == 6)
            yield Daemon(gateway)


def _readings(table: Table, daemon: Daemon, count: int, measure_s: float) -> None:
    idle = daemon.spent(lambda: time.sleep(measure_s))
    before = daemon.private_kb()
    daemon.post_all("/api/v1/devices", [_thermometer(number) for number in range(count)])
    _until(lambda: daemon.readings() > 2 * count)
    each_kb = (daemon.private_kb() - before) / count
    spent = _measure(table, f"{count:,} devices: a reading", daemon, idle, measure_s)
    if count == DEVICES[-1]:
        goal = f"{count:,} devices: a reading costs at most {READING_S * 1e6:.0f} µs ({spent * 1e6:.0f} µs)"
        table.goal(goal, met=spent <= READING_S)
    table.add(f"{count:,} devices: memory", f"{each_kb:.1f} KB each", "", "")
    watchers = min(count, SCENARIOS[-1])
    before = daemon.private_kb()
    daemon.watch(watchers, lambda number: f"device:t{number}")
    each_kb = (daemon.private_kb() - before) / watchers
    name = f"{count:,} devices, {watchers:,} scenarios that watch one each: a reading"
    _measure(table, name, daemon, idle, measure_s)
    table.add(f"{watchers:,} scenarios: memory", f"{each_kb:.1f} KB each", "", "")


def _thermometer(number: int) -> dict[str, Any]:
    config = {
        "oid": "sensor.temperature",
        "name": f"t{number}",
        "poll": 1,
        "min": 0,
        "max": 40,
        "cycle_s": 60,
    }
    return {"driver": "fake", "config": config}


def _measure(table: Table, name: str, daemon: Daemon, idle: tuple[float, float], measure_s: float) -> float:
    """Seconds of the daemon's CPU for each reading."""
    time.sleep(2.0)
    count, begun = daemon.readings(), time.perf_counter()
    own, bus = daemon.spent(lambda: time.sleep(measure_s))
    count, took = daemon.readings() - count, time.perf_counter() - begun
    each = [max(0.0, used - unused) / count * 1e6 for used, unused in zip((own, bus), idle, strict=True)]
    table.add(name, f"{count / took:,.0f} a second", f"{each[0]:.0f} µs", f"{each[1]:.0f} µs")
    return each[0] / 1e6


def _list(table: Table, daemon: Daemon) -> None:
    took, size = list[float](), 0

    def ask() -> None:
        nonlocal size
        for _ in range(LISTS):
            begun = time.perf_counter()
            found = daemon.gateway.request("GET", "/api/v1/devices")[1]
            took.append(time.perf_counter() - begun)
            size = len(found)

    own, _ = daemon.spent(ask)
    name = f"`GET /api/v1/devices` with {size:,}, all being read"
    table.add(name, f"{median(took) * 1e3:.0f} ms", f"{own / LISTS * 1e3:.1f} ms", "")


def _facts(table: Table, daemon: Daemon, count: int) -> None:
    """All scenarios watch the same key. The last fact wakes one that says so, so that all have been heard."""
    daemon.watch(count - 1, lambda _: "key:/bench/fact")
    with _follower(daemon, "scenario/last") as told:
        daemon.post_all(
            "/api/v1/scenarios", [_teller("last", "variables['told'] = value('go')", "/bench/fact", 1e6)]
        )
        publisher = KvPublisherClient(endpoints=daemon.clone)
        _until(lambda: told.get("state") == "watching")

        def send() -> None:
            for number in range(FACTS):
                publisher.send("bench", "fact", str(number))
                time.sleep(0.001)
            publisher.send("bench", "fact", str(2_000_000))
            _until(lambda: told.get("told") == 2_000_000)

        own, bus = daemon.spent(send)
        publisher.destroy()
    cells = [f"{one / FACTS * 1e6:.0f} µs" for one in (own, bus)]
    table.add(
        f"{count:,} scenarios watch one key: a fact", f"{own / FACTS / count * 1e6:.1f} µs a scenario", *cells
    )


def _teller(name: str, code: str, key: str, above: float | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name, "conf": {"active": True}, "entries": {"go": f"key:{key}"}, "code": code,
    }  # fmt: skip
    return found if above is None else found | {"when": {"is": "above", "source": "go", "value": above}}


@contextmanager
def _follower(daemon: Daemon, subtree: str) -> Iterator[dict[str, Any]]:
    """What the clone holds below `subtree`, by the last part of the key; it changes meanwhile."""
    found: dict[str, Any] = {}

    def take(key: str, body: bytes | None) -> None:
        found[key.rpartition("/")[2]] = None if body is None else json.loads(body)

    client = KvSubscriberClient(subtree=subtree, endpoints=daemon.clone, on_change=take)
    for key, one in client.kvmap.items():
        take(key, one.body)
    thread = threading.Thread(target=client.run)
    thread.start()
    try:
        yield found
    finally:
        client.shutdown()
        thread.join()
        client.destroy()


def _firing(table: Table, daemon: Daemon, firings: int) -> None:
    first, done = list[float](), list[float]()
    with _follower(daemon, "scenario/fires") as told:
        daemon.post_all("/api/v1/scenarios", [_teller("fires", CODE, "/bench/go")])
        publisher = KvPublisherClient(endpoints=daemon.clone)
        _until(lambda: told.get("state") == "watching")
        publisher.send("bench", "go", "0")
        time.sleep(1.0)

        def fire() -> None:
            for number in range(1, firings + 1):
                sent = time.time()
                publisher.send("bench", "go", str(number))
                _until(lambda start=f"{number} ": str(told.get("told")).startswith(start))  # type: ignore[misc]
                _until(lambda: told.get("state") == "watching")
                _, began, ended = map(float, told["told"].split())
                first.append(began - sent)
                done.append(ended - sent)

        own, bus = daemon.spent(fire)
        publisher.destroy()
    cells = [f"{one / firings * 1e3:.1f} ms" for one in (own, bus)]
    table.add("a scenario fires: to its first line", _spread(first), *cells)
    table.add("and until its command is done", _spread(done), "", "")
    goal = f"half of the firings are at their first line within {FIRING_S * 1e3:.0f} ms ({median(first) * 1e3:.0f} ms)"
    table.goal(goal, met=median(first) <= FIRING_S)


def _spread(found: list[float]) -> str:
    ordered = sorted(found)
    last = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return f"p50 {median(ordered) * 1e3:.1f} ms, p99 {last * 1e3:.1f} ms"


def _year(table: Table, count: int) -> None:
    lines = [f"{number * 7 % 60} {number % 24} * * {number % 7}" for number in range(count)]
    spent = _jobs(table, f"a year of {count:,} jobs, once a week each", lines, YEAR_S)
    if count == JOBS[-1]:
        goal = f"a run of a weekly job costs at most {RUN_S * 1e6:.0f} µs ({spent * 1e6:.0f} µs)"
        table.goal(goal, met=spent <= RUN_S)


def _each_minute(table: Table, different: int) -> None:
    lines = [_minutely(number % different) for number in range(MANY_JOBS)]
    assert len(set(lines)) == different
    words = "one line" if different == 1 else f"{different} lines"
    _jobs(table, f"a day of {MANY_JOBS:,} jobs, each minute, on {words}", lines, DAY_S)


def _minutely(number: int) -> str:
    """A line that means `* * * * *`; another one for each number."""
    minute, hour = number % 59, number // 59 % 23
    return f"0-{minute},{minute + 1}-59 0-{hour},{hour + 1}-23 * * *" if number else "* * * * *"


def _jobs(table: Table, name: str, lines: list[str], end_s: float) -> float:
    """Seconds of CPU for each run."""
    now, cron = Now(0.0, WALL), Cron(Place("Europe/Berlin"))
    for number, line in enumerate(lines):
        cron.add(Job(name=f"job {number}", schedule=line), now)
    begun, runs = time.process_time(), 0
    while cron.deadline() <= end_s:
        now = Now(cron.deadline(), WALL + cron.deadline())
        cron.tick(now)
        cron.unsaved()
        runs += len(cron.events())
    used = time.process_time() - begun
    table.add(name, f"{used:.2f} s of CPU, {runs:,} runs", f"{used / runs * 1e6:.0f} µs a run", "")
    return used / runs


def _until(holds: Callable[[], object], within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.002)
