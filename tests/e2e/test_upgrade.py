"""The whole daemon is upgraded while it is used: calls, requests, streams and an installation go on; a successor that dies at any
step changes nothing, and an elder that dies after the commit is not missed."""

from __future__ import annotations

import base64
import http.client
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest
from websockets.sync.client import connect

from tests.parts import faults
from tests.parts.ave_v0 import OldClient, call, frame
from tests.parts.docker import docker_socket, python_base_image
from tests.parts.gateway import PASSWORD, tar_of, web_app
from tests.parts.upgradable_gateway import Upgradable
from wayhouse.base import codec
from wayhouse.runtime.remote import RemoteControl

__all__ = ["docker_socket", "python_base_image"]

UPGRADES = 10
IDLE, HALF, BUSY = 900, 50, 50
REFUSED = {"exception": "not authorized to make this call"}
"""What a client of the old wire is told here; it is an answer to each of its calls all the same."""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Upgradable]:
    found = Upgradable(tmp_path / "gw")
    found.start()
    try:
        yield found
        found.remove_all()
    finally:
        found.stop()


@pytest.fixture(params=["sandbox", pytest.param("docker", marks=pytest.mark.external)])
def working(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Upgradable]:
    """A gateway with each of the engines."""
    if request.param == "sandbox":
        yield request.getfixturevalue("gateway")
        return
    config = tmp_path / "wayhouse.toml"
    image = request.getfixturevalue("python_base_image")
    config.write_text(f'[chutes.base_images]\npython3 = "{image}"\n')
    env = {"WAYHOUSE_CHUTES_DOCKER_SOCKET": request.getfixturevalue("docker_socket")}
    found = Upgradable(tmp_path / "gw", engine="docker", env=env, options=("--config", str(config)))
    found.start()
    try:
        yield found
        found.remove_all()
    finally:
        found.stop()


class Load:
    """Something that a thread does again and again; the first failure is kept and raised at the end."""

    def __init__(self, *work: Any) -> None:
        self._work = work
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(one,)) for one in work]
        self.turns = 0

    def _run(self, work: Any) -> None:
        try:
            while not self._stop.is_set():
                work()
                self.turns += 1
        except Exception as error:  # noqa: BLE001 - raised at the end
            self._failures.append(error)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._failures and kind is None:
            raise self._failures[0]


def test_a_thousand_connections_through_ten_upgrades(gateway: Upgradable) -> None:
    idle = [RemoteControl(gateway.control, None, 30) for _ in range(IDLE)]
    busy = [RemoteControl(gateway.control, None, 30) for _ in range(BUSY)]
    halves = [OldClient(gateway.control) for _ in range(HALF)]
    calls = [0] * 2
    for remote in idle:
        assert remote.version()
    half = frame(codec.encode_json(call("version")))
    before = {gateway.serving()}

    def call_all(part: int) -> None:
        for remote in busy[part::2]:
            assert remote.PING() == "pong"
            calls[part] += 1

    with Load(lambda: call_all(0), lambda: call_all(1)):
        for _ in range(UPGRADES):
            for client in halves:
                client.sock.sendall(half[:9])
            assert gateway.upgrade() == ""
            before.add(gateway.serving())
            for client in halves:
                client.sock.sendall(half[9:])
                assert client.receive() == REFUSED
    for remote in idle:
        assert remote.version()
    counted = idle[0].STATS()["methods"]
    assert counted["PING"]["calls"] == sum(calls) + UPGRADES  # each successor called itself once
    assert counted["version"]["calls"] == 2 * IDLE
    assert len(before) == UPGRADES + 1
    for remote in (*idle, *busy):
        remote.close()
    for client in halves:
        client.sock.close()


@pytest.mark.parametrize("fault", faults.ALL)
def test_a_successor_that_dies_at_any_step_changes_nothing(gateway: Upgradable, fault: str) -> None:
    before = gateway.serving()
    users = gateway.request("GET", "/api/v1/users")
    with (
        RemoteControl(gateway.control, None, 30) as remote,
        Load(remote.PING, lambda: healthy(gateway)) as load,
    ):
        assert "ended before it could" in gateway.upgrade(fault)
        assert gateway.serving() == before
        turns = load.turns
        while load.turns < turns + 20:
            time.sleep(0.01)
        assert gateway.upgrade() == ""
    assert gateway.serving() != before
    assert gateway.request("GET", "/api/v1/users") == users


@pytest.mark.parametrize("fault", ["elder after Commit", "elder after Serving"])
def test_an_elder_that_dies_after_the_commit_is_not_missed(gateway: Upgradable, fault: str) -> None:
    with RemoteControl(gateway.control, None, 30) as remote, Load(remote.PING, lambda: healthy(gateway)):
        assert gateway.upgrade(fault) == ""
        assert gateway.process is not None
        assert gateway.process.wait(20) == -signal.SIGKILL
        assert gateway.upgrade() == ""


def healthy(gateway: Upgradable) -> None:
    assert gateway.request("GET", "/healthz") == (200, {"status": "ok"})


def test_requests_streams_and_an_installation_go_on(working: Upgradable) -> None:
    assert working.change("POST", "/api/v1/chutes/", web_app("first"))["state"] == "succeeded"
    kept = http.client.HTTPConnection("127.0.0.1", working.port, timeout=30)

    def ask() -> None:
        kept.request("GET", "/healthz")
        assert kept.getresponse().read() == b'{"status":"ok"}'

    kept.connect()
    socket_before = kept.sock
    with Load(ask, lambda: healthy(working)):
        for number in range(3):
            status, answer = working.request("POST", "/api/v1/chutes/", web_app(f"app{number}"))
            assert status == 200
            with ThreadPoolExecutor(1) as pool:
                watched = pool.submit(working.lines, answer["change_id"])
                assert working.upgrade() == ""
                assert working.wait_change(answer["change_id"])["state"] == "succeeded"
                assert watched.result() == working.lines(answer["change_id"])
    assert kept.sock is socket_before
    kept.close()


def test_sighup_upgrades_too(gateway: Upgradable) -> None:
    before = gateway.serving()
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)
    assert gateway.process.wait(30) == 0
    assert gateway.serving() != before
    healthy(gateway)


def test_the_log_of_an_app_goes_on_over_the_same_connection(working: Upgradable) -> None:
    code = "import time\nn = 0\nwhile True:\n    print(n, flush=True)\n    n += 1\n    time.sleep(0.01)\n"
    spec = "name: talks\nversion: 1\nservices:\n  main:\n    type: light\n    image: python3\n    command: python3 -u main.py\n"
    assert (
        working.change("POST", "/api/v1/chutes/", tar_of({"paradrop.yaml": spec, "main.py": code}))["state"]
        == "succeeded"
    )
    heard: list[int] = []
    key = base64.b64encode(f"paradrop:{PASSWORD}".encode()).decode()
    url = f"ws://127.0.0.1:{working.port}/sockjs/logs/talks/websocket"
    with connect(url, additional_headers={"Authorization": f"Basic {key}"}) as socket:

        def hear(until: int) -> None:
            while len(heard) < until:
                line = codec.decode_json(socket.recv(timeout=30), dict[str, Any])
                heard.append(int(line["message"]))

        for number in range(3):
            hear(100 * (number + 1))
            assert working.upgrade() == ""
        hear(400)
    assert heard == list(range(heard[0], heard[0] + len(heard)))
