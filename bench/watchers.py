"""200 watchers of one change's stream: how long until the last one has all of it, and what it costs."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import psutil
import websockets

from bench.gateways import running, token_of
from bench.table import Table
from tests.parts.gateway import GatewayProcess, web_app

WATCHERS = 200
LINES = 2000


def run() -> Table:
    table = Table(
        "Watchers",
        f"One change whose build says {LINES} lines as fast as it can (an engine that only talks), watched live over WebSockets, "
        "every line on disk as well. The daemon's CPU is that from the first watcher's connection to the end of the change.",
        ("watchers", "frames sent", "s until all have all", "daemon CPU s", "CPU µs/frame"),
    )
    for watchers in (1, 20, WATCHERS):
        with tempfile.TemporaryDirectory() as folder:
            env = {"SAY_LINES": str(LINES), "SAY_AFTER_S": "3", "WAYHOUSE_CHUTES_WEB_WAIT_S": "0"}
            with running(Path(folder), engine="fake", env=env) as gateway:
                frames, took, cpu = asyncio.run(_watch(gateway, watchers))
        table.add(watchers, f"{frames:,}", f"{took:.2f}", f"{cpu:.2f}", f"{cpu / frames * 1e6:.1f}")
    return table


async def _watch(gateway: GatewayProcess, watchers: int) -> tuple[int, float, float]:
    assert gateway.process is not None
    token = token_of(gateway)
    change = gateway.request("POST", "/api/v1/chutes/", web_app("chatty"))[1]["change_id"]
    process = psutil.Process(gateway.process.pid)
    before = sum(process.cpu_times()[:2])
    url = f"ws://127.0.0.1:{gateway.port}/ws/changes/{change}/stream"
    results = await asyncio.gather(*(_count(url, token) for _ in range(watchers)))
    counts = {count for count, _, _ in results}
    assert len(counts) == 1, "watchers saw different streams"
    took = max(end for _, _, end in results) - min(begin for _, begin, _ in results)
    return sum(count for count, _, _ in results), took, sum(process.cpu_times()[:2]) - before


async def _count(url: str, token: str) -> tuple[int, float, float]:
    """(frames, when the build's first line came, when the stream ended)."""
    headers = {"Authorization": f"Bearer {token}"}
    first = 0.0
    count = 0
    async with websockets.connect(url, additional_headers=headers, open_timeout=60) as socket:
        async for frame in socket:
            count += 1
            if not first and "Step 0" in str(frame):
                first = time.perf_counter()
    return count, first, time.perf_counter()
