"""How long calls and requests wait while the daemon is upgraded, and what a restart would do to them."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from bench.table import Table, median
from tests.parts.upgradable_gateway import Upgradable
from wayhouse.runtime.async_remote import AsyncRemote
from wayhouse.runtime.exceptions import AveException, Restarting

IDLE, BUSY, KEPT, UPGRADES = 950, 50, 8, 10


class Waits:
    """The longest wait of each connection since `next`, in ms."""

    def __init__(self, connections: int) -> None:
        self._now = [0.0] * connections
        self.all: list[float] = []
        self.calls = 0
        self.failed = 0

    def add(self, connection: int, seconds: float) -> None:
        self.calls += 1
        self._now[connection] = max(self._now[connection], seconds * 1000)

    def forget(self) -> None:
        self._now = [0.0] * len(self._now)

    def keep(self) -> None:
        self.all += self._now

    def share(self, share: float) -> float:
        ordered = sorted(self.all)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def run() -> Table:
    table = Table(
        "Hot upgrade",
        f"{UPGRADES} upgrades of one daemon with {IDLE + BUSY:,} connections on its control socket, of which {BUSY} always have a "
        f"call under way, and {KEPT} HTTP connections that ask for `/healthz` without a break. For each connection and upgrade the longest wait of "
        "a call or request counts. Below, the same requests while the same daemon is stopped and started.",
        ("what", "p50", "p99", "longest", "failed"),
    )
    with tempfile.TemporaryDirectory() as folder:
        gateway = Upgradable(Path(folder) / "data")
        gateway.start()
        try:
            calls, requests, took = asyncio.run(_upgrades(gateway))
        finally:
            gateway.stop()
    _row(table, f"a call, {calls.calls:,} in all", calls)
    _row(table, f"a request, {requests.calls:,} in all", requests)
    table.add("the whole upgrade", f"{median(took):.0f} ms", "", f"{max(took):.0f} ms", "")
    with tempfile.TemporaryDirectory() as folder:
        restarted = asyncio.run(_restarts(Path(folder)))
    _row(table, "a request during a restart instead", restarted)
    table.goal(
        f"p99 of the pause of calls under 50 ms ({calls.share(0.99):.0f} ms)", met=calls.share(0.99) < 50
    )
    table.goal("nothing failed", met=calls.failed + requests.failed == 0)
    return table


def _row(table: Table, name: str, waits: Waits) -> None:
    table.add(
        name,
        *(f"{waits.share(share):.1f} ms" for share in (0.5, 0.99)),
        f"{max(waits.all):.1f} ms",
        waits.failed,
    )


async def _upgrades(gateway: Upgradable) -> tuple[Waits, Waits, list[float]]:
    idle = [AsyncRemote(gateway.control) for _ in range(IDLE)]
    for remote in idle:
        await remote.connect()
    calls, requests, ends, took = Waits(BUSY), Waits(KEPT), asyncio.Event(), list[float]()
    async with asyncio.TaskGroup() as group:
        for number in range(BUSY):
            group.create_task(_call(gateway.control, number, calls, ends))
        for number in range(KEPT):
            group.create_task(_ask(gateway.port, number, requests, ends))
        for _ in range(UPGRADES):
            await asyncio.sleep(0.5)
            calls.forget()
            requests.forget()
            took.append(await _upgrade(gateway))
            await asyncio.sleep(0.2)
            calls.keep()
            requests.keep()
        ends.set()
    for remote in idle:
        remote.close()
    return calls, requests, took


async def _upgrade(gateway: Upgradable) -> float:
    """Milliseconds from asking for it to the successor's first answer."""
    begun = time.perf_counter()
    async with AsyncRemote(gateway.control) as remote:
        try:
            async for _ in remote.stream("upgrade"):
                pass
        except Restarting:
            await remote.PING()
    return (time.perf_counter() - begun) * 1000


async def _call(path: str, number: int, waits: Waits, ends: asyncio.Event) -> None:
    async with AsyncRemote(path) as remote:
        while not ends.is_set():
            begun = time.perf_counter()
            try:
                await remote.PING()
            except AveException:
                waits.failed += 1
            waits.add(number, time.perf_counter() - begun)


async def _ask(port: int, number: int, waits: Waits, ends: asyncio.Event) -> None:
    """Requests over one connection as long as it lasts; a connection that cannot be had, or that ends, is a failure."""
    while not ends.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while not ends.is_set():
                begun = time.perf_counter()
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await reader.readuntil(b"}")
                waits.add(number, time.perf_counter() - begun)
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            waits.failed += 1
            waits.add(number, time.perf_counter() - begun)
            await asyncio.sleep(0.01)


async def _restarts(folder: Path) -> Waits:
    gateway = Upgradable(folder / "data")
    gateway.start()
    waits, ends = Waits(KEPT), asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(KEPT):
                group.create_task(_ask_anew(gateway.port, number, waits, ends))
            for _ in range(3):
                await asyncio.sleep(0.5)
                waits.forget()
                await asyncio.to_thread(gateway.stop)
                await asyncio.to_thread(gateway.start)
                await asyncio.sleep(0.2)
                waits.keep()
            ends.set()
    finally:
        gateway.stop()
    return waits


async def _ask_anew(port: int, number: int, waits: Waits, ends: asyncio.Event) -> None:
    """A request that is tried until it is answered: what a patient client sees."""
    while not ends.is_set():
        begun, answered = time.perf_counter(), False
        while not answered and not ends.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answered = bool(await reader.readuntil(b"}"))
                writer.close()
            except (OSError, asyncio.IncompleteReadError):
                waits.failed += 1
                await asyncio.sleep(0.01)
        waits.add(number, time.perf_counter() - begun)
