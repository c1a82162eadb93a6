"""The story of a house: a temperature falls, a scenario opens a valve, and whatever is killed meanwhile, the valve ends right.

The thermometer is a folder as the kernel lays it out; the valve is a worker of its own; broker, Titanic, the scenario's process and the
daemon are killed -9 in turn.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.parts.gateway import GatewayProcess

KILLS = int(os.environ.get("WAYHOUSE_KILLS", "100"))
SCENARIO = """
wayhouse_scenario = 1
name = "frost"
code = '''
wanted = "open" if value("boiler") < 18 else "closed"
if variables.get("valve") != wanted:
    command("service:localhost.valve?idempotent", "set", wanted)
    variables["valve"] = wanted
    try:
        command("service:localhost.meter", "count", f"{cause} {now()}")
        variables["counted"] = variables.get("counted", 0) + 1
    except Exception as error:
        log(f"nobody knows whether it was counted: {error}")
'''

[entries]
boiler = "device:boiler"
"""
CRC_TABLE_POLYNOMIAL = 0x8C


def w1_slave(milli: int) -> str:
    """As the kernel writes it, checksum and all."""
    raw = (milli * 16 // 1000) & 0xFFFF
    scratch = [raw & 0xFF, raw >> 8, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10]
    crc = 0
    for byte in scratch:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (CRC_TABLE_POLYNOMIAL if crc & 1 else 0)
    text = " ".join(f"{byte:02x}" for byte in [*scratch, crc])
    return f"{text} : crc={crc:02x} YES\n{text} t={milli}\n"


class House:
    """A gateway with one thermometer, and the valve beside it."""

    def __init__(self, folder: Path) -> None:
        self.sensor = folder / "w1" / "28-0000055ab1e5"
        self.sensor.mkdir(parents=True)
        self.set_temperature(21_000)
        data = folder / "data"
        (data / "config").mkdir(parents=True)
        (data / "config" / "wayhouse.toml").write_text(
            f'[devices]\nonewire = "{self.sensor.parent}"\n[bus]\nport = 0\n', encoding="utf-8"
        )
        self.gateway = GatewayProcess(data)
        self.gateway.start()
        self.files = {name: folder / name for name in ("valve", "meter")}
        broker = f"ipc://{data / 'run' / 'bus.sock'}"
        self.workers = [
            subprocess.Popen([sys.executable, "-m", "tests.parts.valve", broker, f"localhost.{name}", path])
            for name, path in self.files.items()
        ]

    def set_temperature(self, milli: int) -> None:
        fresh = self.sensor / "fresh"
        fresh.write_text(w1_slave(milli), encoding="ascii")
        fresh.replace(self.sensor / "w1_slave")

    def lines(self, name: str) -> list[str]:
        path = self.files[name]
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def kill(self, what: str) -> None:
        """One process, at once; whether there is one now or not."""
        if what == "daemon":
            self.gateway.kill()
            self.gateway.start()
            return
        for pid in self._pids(what):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def state(self) -> str:
        """Of the one scenario."""
        return str(self.gateway.request("GET", "/api/v1/scenarios")[1][0]["state"])

    def close(self) -> None:
        for one in self.workers:
            one.kill()
            one.wait()
        self.gateway.stop()

    def _pids(self, what: str) -> Iterator[int]:
        """Of the daemon's children, by what their command line says."""
        assert self.gateway.process is not None
        word = {"broker": "bus.server", "titanic": "titanic_server", "scenario": "automation.sandbox"}[what]
        parent = self.gateway.process.pid
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            for pid in path.read_text().split():
                if word in Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "):
                    yield int(pid)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    try:
        yield made
    finally:
        made.close()


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def prepare(house: House) -> None:
    request = house.gateway.request
    until(lambda: request("GET", "/api/v1/devices")[1])
    device = request("GET", "/api/v1/devices")[1][0]
    assert request("PATCH", f"/api/v1/devices/{device['id']}", {"name": "boiler"})[0] == 200
    assert request("PUT", "/api/v1/devices/boiler/commands/poll", {"value": 1})[0] == 200
    status, told = request(
        "POST", "/api/v1/scenarios/import", SCENARIO.encode(), {"Content-Type": "application/toml"}
    )
    assert status in {200, 201}, told
    assert request("POST", "/api/v1/scenarios/frost/enable")[0] == 200


def test_a_falling_temperature_opens_the_valve(house: House) -> None:
    prepare(house)
    house.set_temperature(12_000)
    until(lambda: house.lines("valve")[-1:] == ["open"])
    house.set_temperature(21_000)
    until(lambda: house.lines("valve")[-1:] == ["closed"])
    until(lambda: house.state() == "watching")
    assert house.lines("valve") == ["open", "closed"]
    assert len(set(house.lines("meter"))) == len(house.lines("meter")) == 2


def test_whatever_is_killed_the_valve_ends_right(house: House) -> None:
    prepare(house)
    chance = random.Random(5514)
    victims = itertools.cycle(["broker", "titanic", "scenario", "daemon"])
    for number in range(KILLS):
        is_cold = number % 2 == 0
        house.set_temperature(12_000 if is_cold else 21_000)
        time.sleep(chance.uniform(0.0, 1.3))
        house.kill(next(victims))
        wanted = "open" if is_cold else "closed"
        until(lambda wanted=wanted: house.lines("valve")[-1:] == [wanted])  # type: ignore[misc]
    until(lambda: house.state() == "watching")
    positions = house.lines("valve")
    assert [one for one, _ in itertools.groupby(positions)] == ["open", "closed"] * (KILLS // 2)
    counted = house.lines("meter")
    assert len(counted) == len(set(counted))
    known = house.gateway.request("GET", "/api/v1/scenarios/frost/variables")[1]["counted"]
    assert known <= len(counted) <= KILLS
