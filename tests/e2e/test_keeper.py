"""`wayhouse up` as a person runs it: it comes back after a crash, is upgraded, and ends with its terminal."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.gateway import GatewayProcess, free_port
from tests.parts.upgradable_gateway import Upgradable, wait_for_end
from wayhouse.runtime.exceptions import NetworkError

KEPT_SOCKETS = 5
"""The keeper's own one for messages, and the daemon's four that listen."""


class Kept(Upgradable):
    """The daemon behind its keeper; `process` is the keeper."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        place = self._command.index("tests.parts.faulty_gateway")
        self._command[place] = "wayhouse.gateway.keeper"

    def start(self, **more: Any) -> None:
        """Until its keeper knows that it is ready: one that dies before is not started again."""
        super().start(**more)
        while len(sockets_of(self.process)) < KEPT_SOCKETS:
            time.sleep(0.01)
        time.sleep(0.2)  # READY comes right behind the sockets

    def stop(self) -> None:
        GatewayProcess.stop(self)

    def wait_for_another(self, before: int) -> None:
        """Until another process than `before`, which was killed, serves; a call that it had taken is lost."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(NetworkError):
                if self.serving() != before:
                    return
            time.sleep(0.01)
        raise AssertionError(f"the gateway does not come back:\n{self.output.read_text()}")


def sockets_of(process: subprocess.Popen[bytes] | None) -> list[str]:
    assert process is not None
    found = []
    for fd in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(fd))
    return [link for link in found if link.startswith("socket:")]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    found = Kept(tmp_path / "gw")
    found.start()
    yield found
    found.stop()


def wayhouse(gateway: GatewayProcess, *words: str) -> Any:
    command = [sys.executable, "-m", "wayhouse.cli.main", "--data", str(gateway.data), *words, "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_after_a_crash_it_comes_back_and_nobody_is_refused(kept: Kept) -> None:
    before = kept.serving()
    refused: list[OSError] = []
    ends = threading.Event()

    def connect() -> None:
        while not (ends.is_set() or refused):
            connection = http.client.HTTPConnection("127.0.0.1", kept.port, timeout=30)
            try:
                connection.connect()
            except OSError as error:
                refused.append(error)
            finally:
                connection.close()
            time.sleep(0.001)

    thread = threading.Thread(target=connect)
    thread.start()
    os.kill(before, signal.SIGKILL)
    try:
        kept.wait_for_another(before)
    finally:
        ends.set()
        thread.join()
    assert kept.request("GET", "/healthz") == (200, {"status": "ok"})
    assert refused == []


def test_a_successor_is_kept_too(kept: Kept) -> None:
    told = wayhouse(kept, "upgrade")
    assert told["before"]["pid"] != told["now"]["pid"] == kept.serving()
    tree = wayhouse(kept, "ps")["processes"]
    found = [(one["role"], one["ready"]) for one in tree]
    assert found == [("keeper", True), ("bus", True), ("bus", True), ("gateway", True)]
    assert kept.process is not None
    assert tree[0]["pid"] == kept.process.pid
    successor = kept.serving()
    os.kill(successor, signal.SIGKILL)
    kept.wait_for_another(successor)
    kept.process.send_signal(signal.SIGINT)
    assert kept.process.wait(20) == 0


@pytest.mark.parametrize("upgraded", [False, True])
def test_without_its_keeper_a_daemon_ends(kept: Kept, upgraded: bool) -> None:
    if upgraded:
        assert kept.upgrade() == ""
    fd = os.pidfd_open(kept.serving())
    kept.kill()
    wait_for_end(fd)


def test_what_keeps_it_from_starting_is_said_once(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "wayhouse.cli.main",
        "up",
        "--data",
        str(tmp_path),
        "--listen",
        "192.0.2.1:80",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("cannot listen on 192.0.2.1") == 1, done.stderr


def test_it_ends_with_its_terminal(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "wayhouse.cli.main", "up", "--data", str(tmp_path), "--listen", listen]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, command)
    fd = os.pidfd_open(pid)
    told = b""
    while b"Try:" not in told:
        told += os.read(terminal, 4096)
    os.close(terminal)
    wait_for_end(fd)
    os.waitpid(pid, 0)
    assert list((tmp_path / "run").glob("*.sock")) == []
