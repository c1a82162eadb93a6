"""Clients and workers of others against the broker: in C from RFC 7 alone, and PyPI's majortomo, whose MDP 0.2 is not RFC 18's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.broker_process import BrokerProcess
from tests.parts.majortomo import majortomo_python
from wayhouse.bus.client import MajorDomoClient
from wayhouse.bus.worker import MajorDomoWorker

pytestmark = pytest.mark.external
SOURCES = Path(__file__).parents[1] / "parts" / "c"
COUNT = 200
LONG_S = 60.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    process = BrokerProcess(tmp_path_factory.mktemp("bus"))
    yield process
    process.kill()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `mdp_client` and `mdp_worker`."""
    if shutil.which("cc") is None or not Path("/usr/include/czmq.h").exists():
        pytest.skip("needs a C compiler and libczmq-dev")
    folder = tmp_path_factory.mktemp("c")
    for name in ("mdp_client", "mdp_worker"):
        source = str(SOURCES / f"{name}.c")
        subprocess.run(
            ["cc", "-Wall", "-Werror", "-o", str(folder / name), source, "-lczmq", "-lzmq"], check=True
        )
    return folder


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
