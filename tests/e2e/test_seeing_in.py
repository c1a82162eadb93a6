"""`wayhouse ps` and `wayhouse trace` on the real daemon with an app, also when the daemon is stuck."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.parts.gateway import GatewayProcess, web_app

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox's processes are other users'"),
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(
        tmp_path_factory.mktemp("seeing") / "data", command=("-m", "tests.parts.stuck_gateway")
    )
    process.start()
    try:
        app = web_app("seen", extra="    environment: {SECRET_WORD: S3CR3T}\n")
        change = process.change("POST", "/api/v1/chutes/", app)
        assert change["state"] == "succeeded", change
        yield process
        process.remove_all()
    finally:
        process.stop()


def wayhouse(gateway: GatewayProcess, *arguments: str) -> tuple[str, str]:
    command = [sys.executable, "-m", "wayhouse.cli.main", "--data", str(gateway.data), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    assert "S3CR3T" not in done.stdout
    assert "hunter2" not in done.stdout
    return done.stdout, done.stderr


def rows(gateway: GatewayProcess, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in wayhouse(gateway, *arguments)[0].splitlines()]


def daemon_pid(gateway: GatewayProcess) -> int:
    assert gateway.process is not None
    return gateway.process.pid


def test_the_processes_of_a_gateway_and_its_apps(gateway: GatewayProcess) -> None:
    found = json.loads(wayhouse(gateway, "ps", "--json")[0])
    assert found["gateway_answers"] is True
    by_role: dict[str, list[dict[str, Any]]] = {}
    for row in found["processes"]:
        by_role.setdefault(row["role"], []).append(row)
    (daemon,), (shim,), app = by_role["gateway"], by_role["shim"], by_role["app"]
    assert (daemon["pid"], daemon["ready"]) == (daemon_pid(gateway), True)
    assert (shim["name"], shim["belongs_to"], shim["ready"]) == ("seen-main", "seen", True)
    assert any("main.py" in row["command"] and row["belongs_to"] == "seen" for row in app)
    table = wayhouse(gateway, "ps")[0]
    assert "seen-main (shim)" in table
    assert table.startswith("PROCESS")


def test_where_they_are(gateway: GatewayProcess) -> None:
    told = rows(gateway, "trace", "--json")
    how = {(row["role"], row["how"]) for row in told}
    assert how == {("gateway", "own"), ("bus", "signal"), ("shim", "signal"), ("app", "kernel")}
    assert any("task 'housekeeping'" in row["text"] for row in told)
    assert any("shim/loop.py" in row["text"] for row in told)
    assert {row["belongs_to"] for row in rows(gateway, "trace", "seen", "--json")} == {"seen"}


def test_telemetry_has_the_app_s_first_process(gateway: GatewayProcess) -> None:
    status, telemetry = gateway.request("GET", "/api/v1/info/telemetry")
    assert status == 200
    (chute,) = telemetry["chutes"]
    assert chute["process"]["num_threads"] >= 1


def test_a_daemon_that_is_stuck(gateway: GatewayProcess) -> None:
    pid = daemon_pid(gateway)
    os.kill(pid, signal.SIGUSR1)
    try:
        text, note = wayhouse(gateway, "trace", "gateway")
        assert "in hangs_for_the_test" in text
        assert "thread" in text.lower()
        assert "does not answer" in note
        told = rows(gateway, "trace", "--json")
        assert {(row["role"], row["how"]) for row in told} == {
            ("gateway", "signal"),
            ("bus", "signal"),
            ("shim", "signal"),
            ("app", "kernel"),
        }
        found = json.loads(wayhouse(gateway, "ps", "--json")[0])
        assert found["gateway_answers"] is False
        assert {row["belongs_to"] for row in found["processes"]} == {"", "seen"}
    finally:
        gateway.kill()
        gateway.start()
    traces = gateway.data / "run" / "trace"
    assert str(pid) not in {path.name for path in traces.iterdir()}, "what a killed one left is swept"
    assert str(daemon_pid(gateway)) in {path.name for path in traces.iterdir()}
