"""Programs of others against the bus of a gateway, written from RFC 7, 9 and 12 and from the manual's text, without Wayhouse in them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.gateway import GatewayProcess
from tests.parts.programs import build, running

pytestmark = pytest.mark.external
FAKE = ("boiler", "hall", "lamp", "roof", "rtc", "tv")
LAMP = "/api/v1/devices/lamp/commands/power"
DISCOVERY = (r".*\.devices\..*", r".*\.devices$")
"""As the manual draws it, and as the names really are."""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = ("titanic_client", "discover", "chp", "mdp_lasting_worker")
    return build(tmp_path_factory.mktemp("c"), *names)


@pytest.fixture(scope="module")
def endpoints(gateway: GatewayProcess) -> dict[str, str]:
    """Over TCP, and `local`."""
    found: dict[str, str] = gateway.request("GET", "/api/v1/bus")[1]["endpoints"]
    return found


def test_a_durable_request_from_c(endpoints: dict[str, str], programs: Path, tmp_path: Path) -> None:
    ask = [programs / "titanic_client", endpoints["broker"], "c.durable", "later"]
    with running(ask, tmp_path / "client") as client:
        client.until("reply 300")
        serve = [programs / "mdp_lasting_worker", endpoints["broker"], "c.durable", "echo"]
        with running(serve, tmp_path / "worker") as worker:
            assert client.ended() == 0
            assert worker.lines().count("request later") == 1
    assert client.lines() == ["request 200", "reply 300", "reply 200 later", "close 200", "reply 400"]


@pytest.mark.parametrize("pattern", DISCOVERY)
@pytest.mark.parametrize("way", ["broker", "local"])
def test_a_stranger_finds_every_device_and_its_value(
    gateway: GatewayProcess, endpoints: dict[str, str], programs: Path, way: str, pattern: str
) -> None:
    """Who knows only the broker's address asks who there is, which devices they have, and what those say."""
    broker = endpoints["broker"] if way == "broker" else f"ipc://{gateway.data / 'run' / 'bus.sock'}"
    found = subprocess.run(
        [programs / "discover", broker, pattern], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    told = {tuple(line.split(" ", 2)[:2]): line.split(" ", 2)[2] for line in found.splitlines()}
    assert sorted(told) == [("localhost.fake.devices", name) for name in FAKE]
    devices = {one["name"]: one for one in gateway.request("GET", "/api/v1/devices")[1]}
    assert sorted(devices) == list(FAKE)
    for (_, name), value in told.items():
        values = devices[name]["values"]
        main = values["value" if "value" in values else next(iter(values))]["value"]
        assert same(value, main), f"{name}: {value} there, {main} here"


def same(text: str, known: Any) -> bool:
    """Sensors and clocks of the fake house go by the time, so theirs are only numbers."""
    value = json.loads(text)
    return value >= 0.0 if isinstance(known, float) else bool(value == known)


def test_devices_and_keys_of_ones_own_from_c(
    gateway: GatewayProcess, endpoints: dict[str, str], programs: Path, tmp_path: Path
) -> None:
    assert gateway.request("PUT", LAMP, {"value": False})[0] == 200
    watch = [programs / "chp", "watch", endpoints["snapshot"], endpoints["publisher"]]
    with running([*watch, "/device/"], tmp_path / "device") as device:
        device.until("sync /device/localhost.fake.lamp/power false")
        device.until("complete /device/")
        assert "sync /device/localhost.fake.boiler/available true" in device.lines()
        assert gateway.request("PUT", LAMP, {"value": True})[0] == 200
        device.until("set /device/localhost.fake.lamp/power true")
        device.until("hugz")
    push = [programs / "chp", "push", endpoints["collector"]]
    subprocess.run([*push, "/c/key", "from-c"], check=True, timeout=60)
    with running([*watch, "/c/"], tmp_path / "own") as own:
        own.until("sync /c/key from-c")
        subprocess.run([*push, "/c/key", ""], check=True, timeout=60)
        own.until("delete /c/key")
    assert all(" /c/" in line or line == "hugz" for line in own.lines())


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[tuple[str, str, dict[str, str]]]:
    """A bus that takes updates from PUB sockets, too: its snapshot and publisher, and its collectors by the kind of socket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "wayhouse.bus.server", "--port", "0", "--runtime", str(tmp_path), "--subscribed", str(port)]
    )  # fmt: skip
    snapshot, publisher, collector = (f"ipc://{tmp_path}/bus-{name}.sock" for name in ("get", "sub", "put"))
    yield snapshot, publisher, {"push": collector, "pub": f"tcp://127.0.0.1:{port}"}
    process.kill()
    process.wait()


@pytest.mark.parametrize("kind", ["push", "pub"])
def test_a_subscriber_and_a_publisher_of_rfc_12(
    clone: tuple[str, str, dict[str, str]], programs: Path, tmp_path: Path, kind: str
) -> None:
    """Snapshot of a subtree, updates, a deletion, a key that expires, and the server's hugs; the program watches the sequence."""
    snapshot, publisher, collectors = clone
    put = [programs / "chp", kind, collectors[kind]]
    watch = [programs / "chp", "watch", snapshot, publisher]

    def set_key(*what: str) -> None:
        subprocess.run([*put, *what], check=True, timeout=60)

    with running([*watch, "/a/"], tmp_path / "early") as early:
        early.until("complete /a/")
        set_key("/a/one", "1")
        set_key("/b/other", "9")
        set_key("/a/two", "2")
        early.until("set /a/two 2")
        with running([*watch, "/a/"], tmp_path / "late") as late:
            late.until("complete /a/")
            set_key("/a/one", "")
            set_key("/a/short", "3", "1")
            for one in (early, late):
                one.until("delete /a/short")
                one.until("hugz")
            own = [line for line in early.lines() if line != "hugz"]
            after = [line for line in late.lines() if line != "hugz"]
    changes = ["delete /a/one", "set /a/short 3", "delete /a/short"]
    assert own == ["complete /a/", "set /a/one 1", "set /a/two 2", *changes]
    assert after == ["sync /a/one 1", "sync /a/two 2", "complete /a/", *changes]
    with running([*watch, ""], tmp_path / "all") as everything:
        everything.until("complete ")
        assert everything.lines()[:2] == ["sync /b/other 9", "sync /a/two 2"]
