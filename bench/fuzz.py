"""A million messages that make no sense against a broker, while somebody else calls a service through it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.table import Table
from tests.parts.broker_process import BrokerProcess
from tests.parts.bus_fuzz import PEERS, Bystander, resident_mb, storm

MESSAGES = 1_000_000
MOST_MB = 300.0


def run() -> Table:
    table = Table(
        "A storm of bad messages",
        f"{MESSAGES:,} messages from {PEERS} peers that come and go, one of which never reads, to a broker over a UNIX socket: requests, READY, "
        "replies and signs of both versions, damaged by chance or not. Meanwhile a client calls a worker every 10 ms; both, and the "
        "senders, share one process with one interpreter, so its waits are not the broker's alone.",
        (
            "messages",
            "messages/s",
            "broker's memory before, MB",
            "after, MB",
            "calls of the other client",
            "longest, ms",
        ),
    )
    with tempfile.TemporaryDirectory(prefix="bench-fuzz-") as folder:
        broker = BrokerProcess(Path(folder))
        bystander = Bystander(broker.address)
        try:
            before, begun = resident_mb(broker.process.pid), time.perf_counter()
            storm(broker.address, MESSAGES)
            took, after = time.perf_counter() - begun, resident_mb(broker.process.pid)
        finally:
            bystander.close()
            alive = broker.process.poll() is None
            broker.kill()
    longest_ms = bystander.longest_s * 1000
    table.add(
        f"{MESSAGES:,}",
        f"{MESSAGES / took:,.0f}",
        f"{before:.0f}",
        f"{after:.0f}",
        f"{bystander.calls:,}",
        f"{longest_ms:.0f}",
    )
    table.goal("the broker lives", met=alive)
    table.goal(
        f"every call of the other client is answered ({bystander.unanswered} were not)",
        met=not bystander.unanswered,
    )
    table.goal(
        f"memory grows by less than {MOST_MB:.0f} MB ({after - before:.0f} MB)", met=after - before < MOST_MB
    )
    return table
