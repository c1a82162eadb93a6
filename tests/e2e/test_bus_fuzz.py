"""A broker in a storm of bad messages lives, stays small, and another client notices nothing. `python -m bench fuzz` sends a million."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parts.broker_process import BrokerProcess
from tests.parts.bus_fuzz import Bystander, resident_mb, storm
from tests.parts.mover import BOTH, environment
from wayhouse.bus.client import MajorDomoClient
from wayhouse.bus.overview import figures

MESSAGES = 50_000
MOST_MB = 150


@pytest.mark.parametrize("kind", BOTH)
def test_a_storm_of_bad_messages(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(kind).items():
        monkeypatch.setenv(name, value)
    broker = BrokerProcess(tmp_path)
    bystander = Bystander(broker.address)
    try:
        before = resident_mb(broker.process.pid)
        storm(broker.address, MESSAGES)
        client = MajorDomoClient(broker.address)
        told = figures(client.send("mmi.stats", "") or [])
        client.destroy()
        grown = resident_mb(broker.process.pid) - before
    finally:
        bystander.close()
        alive = broker.process.poll() is None
        broker.kill()
    assert alive
    assert bystander.calls > 0
    assert bystander.unanswered == 0
    assert told.counters["malformed"] > MESSAGES / 20
    assert told.counters["requests"] > MESSAGES / 20
    assert grown < MOST_MB
