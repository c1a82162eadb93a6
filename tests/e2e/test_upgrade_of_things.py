"""An upgrade while devices, scenarios and the bus are used: outside programs on the bus notice nothing, and what waits goes on waiting."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.upgradable_gateway import Upgradable
from wayhouse.bus.client import MajorDomoClient
from wayhouse.bus.model import OK

SCENARIO = b"""
wayhouse_scenario = 1
name = "slow"
code = '''
for number in range(6):
    wait(0.5)
    variables["count"] = variables.get("count", 0) + 1
command("hall", "level", 42)
'''
"""
TOML = {"Content-Type": "application/toml"}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Upgradable]:
    config = tmp_path / "gw" / "config" / "wayhouse.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[devices]\nfake = true\n", encoding="utf-8")
    found = Upgradable(tmp_path / "gw")
    found.start()
    deadline = time.monotonic() + 30
    while len(found.request("GET", "/api/v1/devices")[1]) < 6:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    try:
        yield found
    finally:
        found.stop()


def bus_pids(gateway: Upgradable) -> dict[str, int]:
    found = gateway.request("GET", "/api/v1/bus")[1]["processes"]
    return {one["name"]: one["pid"] for one in found}


def until(gateway: Upgradable, path: str, found: object, *, field: str) -> None:
    deadline = time.monotonic() + 30
    while (got := gateway.request("GET", path)[1].get(field)) != found:
        assert time.monotonic() < deadline, got
        time.sleep(0.05)


def test_programs_on_the_bus_notice_nothing(gateway: Upgradable, tmp_path: Path) -> None:
    broker = f"ipc://{gateway.data / 'run' / 'bus.sock'}"
    before = bus_pids(gateway)
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.parts.valve", broker, "localhost.echo", tmp_path / "lines"]
    )
    client = MajorDomoClient(broker)
    client.retries = 1
    client.timeout = 10_000
    try:
        for upgrade in range(3):
            for number in range(50):
                token = b"%d.%d" % (upgrade, number)
                assert client.send("localhost.echo", [token]) == [token, OK]
            assert gateway.upgrade() == ""
            assert client.send("localhost.fake.devices", [b"list_keys"])[-1:] == [OK]  # type: ignore[index]
    finally:
        client.destroy()
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert bus_pids(gateway) == before
    assert len((tmp_path / "lines").read_text().split()) == 150


def test_a_scenario_that_waits_goes_on_waiting(gateway: Upgradable) -> None:
    assert gateway.request("POST", "/api/v1/scenarios/import", SCENARIO, TOML)[0] == 200
    status, run = gateway.request("POST", "/api/v1/scenarios/slow/run")
    assert status == 200
    for _ in range(3):
        time.sleep(0.4)
        assert gateway.upgrade() == ""
    path = f"/api/v1/runs/{run['id']}"
    deadline = time.monotonic() + 30
    while gateway.request("GET", path)[1]["run"]["outcome"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    trace = gateway.request("GET", path)[1]
    assert trace["run"]["outcome"] == "done", trace["run"]
    assert gateway.request("GET", "/api/v1/scenarios/slow/variables")[1]["count"] == 6
    assert [one["result"] for one in trace["steps"] if one["call"] == "command"] == ["42"]


def test_what_was_read_and_set_is_there_afterwards(gateway: Upgradable) -> None:
    assert gateway.request("PUT", "/api/v1/devices/hall/commands/level", {"value": 17})[0] == 200
    assert gateway.request("PATCH", "/api/v1/devices/hall", {"name": "corridor", "area": "below"})[0] == 200
    assert gateway.upgrade() == ""
    until(gateway, "/api/v1/devices/corridor", "below", field="area")
    found = gateway.request("GET", "/api/v1/devices/hall")[1]
    assert found["name"] == "corridor"


PINS = """
[devices.gpio]
factory = "mock"
[[devices.gpio.pins]]
name = "door"
pin = "4"
kind = "input"
[[devices.gpio.pins]]
name = "relay"
pin = "17"
kind = "switch"
"""


def test_pins_are_taken_over_at_once(tmp_path: Path) -> None:
    """One process alone can have the relay; nobody sees it away for a moment."""
    config = tmp_path / "gw" / "config" / "wayhouse.toml"
    config.parent.mkdir(parents=True)
    config.write_text(PINS, encoding="utf-8")
    (tmp_path / "pins").mkdir()
    gateway = Upgradable(tmp_path / "gw", env={"PINS": str(tmp_path / "pins")})
    gateway.start()
    relay = "/api/v1/devices/relay"
    try:
        until(gateway, "/api/v1/devices/relay", found=True, field="is_available")
        for fault in ("", "heir before Adopted", ""):
            told = gateway.request("GET", f"{relay}/log")[1]
            assert bool(gateway.upgrade(fault)) is bool(fault)
            deadline = time.monotonic() + 5
            while gateway.request("PUT", f"{relay}/commands/power", {"value": True})[0] != 200:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert gateway.request("GET", f"{relay}/commands/power?fresh=1")[1]["value"] is True
            since = gateway.request("GET", f"{relay}/log")[1][: -len(told)]
            assert {one["kind"] for one in since} <= {"command", "available"}, since
    finally:
        gateway.stop()
