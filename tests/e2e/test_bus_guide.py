"""The programs in the guide to the bus run, one after another, and print what it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wayhouse.bus.client import MajorDomoClient
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.keys import make_pair
from wayhouse.bus.processes import free_port
from wayhouse.bus.server import BusServer
from wayhouse.bus.server_options import ServerSettings

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "bus.md"
PORT = "5514"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    port = free_port(0, "127.0.0.1")
    server = BusServer(ServerSettings(port=port))
    thread = threading.Thread(target=server.run)
    thread.start()
    command = [sys.executable, "-m", "wayhouse.bus.titanic_server"]
    titanic = subprocess.Popen([*command, "--broker", f"tcp://127.0.0.1:{port}", "--data", str(tmp_path)])
    yield port
    titanic.kill()
    titanic.wait()
    server.shutdown()
    thread.join(10)


def test_the_programs_of_the_guide(
    port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 6
    keys = {"server": make_pair()[0]}
    keys["public"], keys["secret"] = make_pair()
    (tmp_path / "greeter.keys").write_text(json.dumps({"curve": keys}))
    (tmp_path / "greeter.keys").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    worker: dict[str, Any] = {}
    program = compile(blocks[0].replace(PORT, str(port)), "the worker", "exec")
    serving = threading.Thread(target=exec, args=(program, worker))
    serving.start()
    try:
        _wait_for_service(port)
        names: dict[str, Any] = {}
        for number, block in enumerate(blocks[1:], 1):
            exec(compile(block.replace(PORT, str(port)), f"block {number}", "exec"), names)
            wanted = re.findall(r"^ *print\(.*\)  # (.*)$", block, re.MULTILINE)
            assert capsys.readouterr().out.splitlines() == wanted
    finally:
        while "worker" not in worker:
            time.sleep(0.01)
        worker["worker"].shutdown()
        serving.join(10)


def _wait_for_service(port: int) -> None:
    client = MajorDomoClient(f"tcp://127.0.0.1:{port}")
    end = time.monotonic() + 10
    while client.send("mmi.service", "kitchen.greeter") != [b"200"]:
        assert time.monotonic() < end
    client.destroy()


def test_the_ports_are_those_of_the_guide() -> None:
    page = PAGE.read_text()
    told = Endpoints.of("127.0.0.1", int(PORT))
    for address in (told.snapshot, told.publisher, told.collector):
        assert f"| {address.rpartition(':')[2]} |" in page
