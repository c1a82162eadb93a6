"""Clients and workers of others against the broker: in C and PHP from RFC 7 alone, and PyPI's majortomo, whose MDP 0.2 is not RFC 18's."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.broker_process import BrokerProcess
from tests.parts.majortomo import majortomo_python
from tests.parts.programs import Program, build, php, running
from wayhouse.bus.client import MajorDomoClient
from wayhouse.bus.worker import MajorDomoWorker

pytestmark = pytest.mark.external
PHP_CLIENT = Path(__file__).parents[1] / "parts" / "mdp_client.php"
COUNT = 200
LONG_S = 60.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    process = BrokerProcess(tmp_path_factory.mktemp("bus"))
    yield process
    process.kill()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("c"), "mdp_client", "mdp_worker", "mdp_lasting_worker")


def test_a_client_and_a_worker_in_c(broker: BrokerProcess, programs: Path) -> None:
    worker = subprocess.Popen([programs / "mdp_worker", broker.tcp, "c.both", str(COUNT)])
    subprocess.run(
        [programs / "mdp_client", broker.address, "c.both", str(COUNT)], check=True, timeout=LONG_S
    )
    assert worker.wait(LONG_S) == 0


def test_our_client_and_a_worker_in_c(broker: BrokerProcess, programs: Path) -> None:
    worker = subprocess.Popen([programs / "mdp_worker", broker.tcp, "c.worker", "2"])
    client = MajorDomoClient(broker.address)
    assert client.send("c.worker", ["a", b"", b"b"]) == [b"a", b"", b"b"]
    assert client.send("c.worker", "last") == [b"last"]
    client.destroy()
    assert worker.wait(LONG_S) == 0


def test_a_client_in_c_and_our_worker(broker: BrokerProcess, programs: Path) -> None:
    worker = MajorDomoWorker(broker.address, "c.client")
    client = subprocess.Popen([programs / "mdp_client", broker.tcp, "c.client", "20"])
    request = worker.recv()
    for _ in range(19):
        request = worker.recv(request)
    worker.answer(worker._job, request or b"")  # type: ignore[arg-type]
    assert client.wait(LONG_S) == 0
    worker.destroy()


def test_a_client_in_php(broker: BrokerProcess, programs: Path) -> None:
    worker = subprocess.Popen([programs / "mdp_worker", broker.tcp, "php.client", "20"])
    client = [php(), PHP_CLIENT, broker.tcp, "php.client", "20"]
    try:
        subprocess.run(client, check=True, timeout=LONG_S)
        assert worker.wait(LONG_S) == 0
    finally:
        worker.kill()
        worker.wait()


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker of the test's own, to be killed; it beats five times a second."""
    process = BrokerProcess(tmp_path, "--heartbeat", "0.2")
    yield process
    process.kill()


def call(address: str, service: str, body: str) -> list[bytes] | None:
    client = MajorDomoClient(address)
    client.retries = 20
    try:
        return client.send(service, body)
    finally:
        client.destroy()


def test_a_worker_in_c_comes_back_after_the_broker(
    quick: BrokerProcess, programs: Path, tmp_path: Path
) -> None:
    """The new broker knows nothing of a worker that beats, and says so with DISCONNECT."""
    command = [programs / "mdp_lasting_worker", quick.tcp, "c.lasting", "echo"]
    with running(command, tmp_path / "worker") as worker:
        assert call(quick.address, "c.lasting", "before") == [b"before"]
        quick.kill()
        quick.start()
        worker.until("disconnected")
        worker.until("ready", 2)
        assert call(quick.address, "c.lasting", "after") == [b"after"]
        assert [line for line in worker.lines() if line.startswith("request")] == [
            "request before",
            "request after",
        ]


def test_an_idle_worker_in_c_is_kept_while_it_beats(
    quick: BrokerProcess, programs: Path, tmp_path: Path
) -> None:
    command = [programs / "mdp_lasting_worker", quick.tcp, "c.idle", "echo"]
    with running(command, tmp_path / "worker") as worker:
        assert call(quick.address, "c.idle", "before") == [b"before"]
        time.sleep(2.0)  # three times as long as a silent worker is kept
        assert call(quick.address, "mmi.service", "c.idle") == [b"200"]
        assert call(quick.address, "c.idle", "after") == [b"after"]
        assert worker.lines().count("ready") == 1


def test_what_a_killed_worker_in_c_held_is_done_by_another(
    quick: BrokerProcess, programs: Path, tmp_path: Path
) -> None:
    worker = programs / "mdp_lasting_worker"
    ask = [programs / "mdp_client", quick.tcp, "c.killed", "1"]
    holding = Program([worker, quick.tcp, "c.killed", "hold"], tmp_path / "holding")
    try:
        with running(ask, tmp_path / "client") as client:
            holding.until("request request 0")
            with running([worker, quick.tcp, "c.killed", "echo"], tmp_path / "other") as other:
                other.until("ready")
                assert other.lines() == ["ready"]
                holding.kill()
                assert client.ended() == 0
                assert client.lines() == ["1"]
                assert other.lines() == ["ready", "request request 0"]
    finally:
        holding.kill()


MAJORTOMO_WORKER = """
import sys
from majortomo.worker import Worker
worker = Worker(sys.argv[1], sys.argv[2])
worker.connect()
client, request = worker.wait_for_request()
worker.send_reply_partial(client, [b"part"])
worker.send_reply_final(client, request)
worker.close()
"""
MAJORTOMO_CLIENT = """
import sys
from majortomo.client import Client
with Client(sys.argv[1]) as client:
    client.send(sys.argv[2], b"hello", b"world")
    assert client.recv_all_as_list(timeout=10)[-2:] == [b"hello", b"world"]
"""


@pytest.fixture(scope="module")
def majortomo() -> Path:
    try:
        return majortomo_python()
    except subprocess.CalledProcessError:
        pytest.skip("majortomo cannot be installed here")


def test_a_worker_of_majortomo(broker: BrokerProcess, majortomo: Path) -> None:
    worker = subprocess.Popen([majortomo, "-c", MAJORTOMO_WORKER, broker.tcp, "tomo.worker"])
    client = MajorDomoClient(broker.address)
    client.retries = 2
    reply = client.send("tomo.worker", ["hello", "world"])
    client.destroy()
    worker.kill()
    worker.wait()
    assert reply == [b"part", b"hello", b"world"]


def test_a_client_of_majortomo(broker: BrokerProcess, majortomo: Path) -> None:
    worker = MajorDomoWorker(broker.address, "tomo.client")
    client = subprocess.Popen([majortomo, "-c", MAJORTOMO_CLIENT, broker.tcp, "tomo.client"])
    job = worker.take(5.0)
    if job is not None:
        worker.answer(job, job.body)
    client_code = client.wait(LONG_S)
    worker.destroy()
    assert (job is not None, client_code) == (True, 0)
