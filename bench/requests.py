"""Requests a second and CPU for each, against a bare Starlette + msgspec application that sends the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.gateways import running, token_of
from bench.load import load, until_200
from bench.table import Table, median
from tests.parts.gateway import free_port, web_app

PATHS = (
    "/api/v1/chutes/",
    "/api/v1/info/software",
    "/api/v1/info/hardware",
    "/api/v1/info/features",
    "/api/v1/info/status",
)
ROUNDS = 3


def run() -> Table:
    table = Table(
        "Requests",
        "16 connections, one wrk thread, both servers one process on loopback, 3 interleaved rounds of 3 s, medians. The peer is "
        "Starlette + msgspec + uvicorn that encodes the same document; ours also checks a token, a right and counts metrics.",
        ("path", "requests/s", "peer", "CPU µs/request", "peer", "CPU ratio"),
    )
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as gateway:
        gateway.change("POST", "/api/v1/chutes/", web_app("one"))
        token = token_of(gateway)
        for path in PATHS:
            ratio = _one(table, gateway, token, path, Path(folder))
            worst = max(worst, ratio) if path != "/api/v1/info/status" else worst
        gateway.remove_all()
    table.goal(
        f"at most 2x the CPU of the peer on `GET /chutes/` and `/info/*` facts (worst {worst:.2f}x)",
        met=worst <= 2.0,
    )
    return table


def _one(table: Table, gateway: object, token: str, path: str, folder: Path) -> float:
    from tests.parts.gateway import GatewayProcess

    assert isinstance(gateway, GatewayProcess)
    assert gateway.process is not None
    document = folder / "document.json"
    document.write_text(json.dumps(gateway.request("GET", path)[1]))
    port = free_port()
    peer = subprocess.Popen([sys.executable, "-m", "bench.peers.bare", str(port), str(document)])
    try:
        until_200(f"http://127.0.0.1:{port}/")
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(load(gateway.url + path, gateway.process.pid, token=token))
            theirs.append(load(f"http://127.0.0.1:{port}/", peer.pid))
    finally:
        peer.terminate()
        peer.wait()
    assert not any(one.errors for one in ours)
    cpu, peer_cpu = median([one.cpu_us for one in ours]), median([one.cpu_us for one in theirs])
    table.add(
        path, f"{median([one.per_second for one in ours]):,.0f}", f"{median([one.per_second for one in theirs]):,.0f}",
        f"{cpu:.0f}", f"{peer_cpu:.0f}", f"{cpu / peer_cpu:.2f}",
    )  # fmt: skip
    return cpu / peer_cpu
