"""How the costs grow with the number of installed chutes: list, start-up, memory."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.gateways import running, token_of
from bench.load import load, memory_mb, until_200
from bench.table import Table
from tests.parts.gateway import GatewayProcess, web_app

COUNTS = (1, 100, 1000)


def run(counts: Sequence[int] = COUNTS) -> Table:
    table = Table(
        "Scale",
        "Installed chutes on an engine that does nothing. Install is what one takes when all are asked for together; start is to the "
        "first 200 of the list, with every chute having to be brought back; the list is asked for by 4 connections.",
        (
            "chutes",
            "install, ms each",
            "list, ms CPU",
            "list, KB",
            "start to first list, s",
            "all back after, s",
            "memory, MB",
        ),
    )
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            _one(table, Path(folder), count)
    return table


def _one(table: Table, folder: Path, count: int) -> None:
    with running(
        folder, engine="fake", env={"WAYHOUSE_CHUTES_SETTLE_S": "0", "WAYHOUSE_CHUTES_WEB_WAIT_S": "0"}
    ) as gateway:
        each = _install(gateway, count)
        token = token_of(gateway)
        size = len(str(gateway.request("GET", "/api/v1/chutes/")[1]))
        assert gateway.process is not None
        result = load(
            gateway.url + "/api/v1/chutes/", gateway.process.pid, token=token, seconds=4, connections=4
        )
        assert not result.errors
        gateway.stop()
        begun = time.perf_counter()
        gateway.start(ready=False)
        until_200(gateway.url + "/api/v1/chutes/", token)
        start = time.perf_counter() - begun
        while gateway.request("GET", "/api/v1/changes/")[1]:
            time.sleep(0.05)
        back = time.perf_counter() - begun
        memory = memory_mb(gateway.process.pid)[1]
    table.add(
        f"{count:,}", f"{each * 1000:.1f}", f"{result.cpu_us / 1000:.2f}", f"{size / 1000:.0f}", f"{start:.2f}", f"{back:.1f}",
        f"{memory:.0f}",
    )  # fmt: skip


def _install(gateway: GatewayProcess, count: int) -> float:
    archives = [web_app(f"app-{number}") for number in range(count)]
    begun = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda archive: gateway.request("POST", "/api/v1/chutes/", archive), archives)
        )
    assert all(status == 200 for status, _ in answers)
    while gateway.request("GET", "/api/v1/changes/")[1]:
        time.sleep(0.05)
    return (time.perf_counter() - begun) / count
