"""The blocking client and worker against the broker in a process of its own, which is killed now and then."""

# covers: bus/client.py, bus/drivers/dealer.py

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.parts.broker_process import BrokerProcess
from wayhouse.bus import mdp
from wayhouse.bus.client import MajorDomoClient, PipeliningClient
from wayhouse.bus.model import EndpointError, MalformedError, NoReplyError
from wayhouse.bus.worker import MajorDomoWorker

LONG_S = 30.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    process = BrokerProcess(tmp_path_factory.mktemp("bus"), "--heartbeat", "0.5")
    yield process
    process.kill()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[BrokerProcess]:
    process = BrokerProcess(tmp_path, "--heartbeat", "0.5")
    yield process
    process.kill()


class Serving:
    """A worker in a thread, as the manual's examples write it."""

    def __init__(
        self, broker: str, service: str, work: Callable[[list[bytes]], list[bytes]], **options: object
    ) -> None:
        self.worker = MajorDomoWorker(broker, service, **options)  # type: ignore[arg-type]
        self.worker.heartbeat = 200
        self.worker.reconnect = 300
        self._work = work
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        reply = None
        while (request := self.worker.recv(reply)) is not None:
            reply = self._work(request)

    def close(self) -> None:
        self.worker.shutdown()
        self._thread.join(LONG_S)
        self.worker.destroy()


Serve = Callable[..., Serving]


@pytest.fixture
def serve() -> Iterator[Serve]:
    serving: list[Serving] = []

    def start(*arguments: object, **options: object) -> Serving:
        serving.append(Serving(*arguments, **options))  # type: ignore[arg-type]
        return serving[-1]

    yield start
    for one in serving:
        one.close()


@pytest.fixture
def client(shared: BrokerProcess) -> Iterator[MajorDomoClient]:
    one = MajorDomoClient(shared.address)
    one.timeout = 10_000
    yield one
    one.destroy()


def echo(body: list[bytes]) -> list[bytes]:
    return body


@pytest.mark.parametrize("version", [mdp.V01, mdp.V02])
@pytest.mark.parametrize("credit", [1, 8])
def test_a_request_and_its_reply(shared: BrokerProcess, serve: Serve, version: int, credit: int) -> None:
    service = f"echo.{version}.{credit}"
    serve(shared.address, service, echo, version=version, credit=credit)
    client = MajorDomoClient(shared.tcp, version=3 - version, verbose=True)
    assert client.send(service, ["hello", b"world"]) == [b"hello", b"world"]
    assert client.send(service.encode(), "one") == [b"one"]
    client.reconnect_to_broker()
    assert client.send(service, b"two") == [b"two"]
    assert client.ctx.closed is False
    assert client.client is not None
    assert client.poller.sockets
    client.destroy()


def test_mmi_finds_the_service(shared: BrokerProcess, serve: Serve, client: MajorDomoClient) -> None:
    assert client.send("mmi.service", "found") == [b"404"]
    serve(shared.address, "found", echo)
    assert client.send("found", "x") == [b"x"]
    assert client.send("mmi.service", "found") == [b"200"]


def test_nobody_answers_in_time(tmp_path: Path) -> None:
    client = MajorDomoClient(f"ipc://{tmp_path}/nobody")
    client.timeout, client.retries = 20, 2
    assert client.send("echo", "x") is None
    client.destroy()
    pipelining = PipeliningClient(f"ipc://{tmp_path}/nobody")
    with pytest.raises(NoReplyError):
        pipelining.result(pipelining.submit("echo", "x", timeout_s=0.05))
    with pytest.raises(KeyError):
        pipelining.result(17)
    pipelining.destroy()


def test_bad_names_and_addresses_are_refused(tmp_path: Path) -> None:
    for kind in (MajorDomoClient, PipeliningClient):
        with pytest.raises(EndpointError):
            kind("nonsense")
    with pytest.raises(EndpointError):
        MajorDomoWorker("nonsense", "echo")
    with pytest.raises(MalformedError):
        MajorDomoWorker(f"ipc://{tmp_path}/a", "")
    client = MajorDomoClient(f"ipc://{tmp_path}/a")
    with pytest.raises(MalformedError):
        client.send("", "x")
    client.destroy()


def test_heartbeats_go_on_during_long_work(
    shared: BrokerProcess, serve: Serve, client: MajorDomoClient
) -> None:
    calls = []

    def slow(body: list[bytes]) -> list[bytes]:
        calls.append(body)
        time.sleep(2.5)
        return body

    serve(shared.address, "slow", slow)
    assert client.send("slow", "x") == [b"x"]
    assert calls == [[b"x"]]


def test_recv_wants_a_reply_after_the_first_call(shared: BrokerProcess, client: MajorDomoClient) -> None:
    worker = MajorDomoWorker(shared.address, "manual")
    worker.heartbeat = 200
    asking = threading.Thread(target=client.send, args=("manual", "x"))
    asking.start()
    assert worker.recv() == [b"x"]
    assert worker.expect_reply
    assert worker.reply_to
    with pytest.raises(AssertionError):
        worker.recv()
    stopping = threading.Timer(0.1, worker.shutdown)
    stopping.start()
    assert worker.recv("done") is None
    asking.join(LONG_S)
    assert not asking.is_alive()
    worker.destroy()
    worker.destroy()
    stopping.join()


def test_the_names_of_the_manual_are_there(shared: BrokerProcess) -> None:
    worker = MajorDomoWorker(shared.address, "names")
    assert (worker.broker, worker.service, worker.heartbeat, worker.reconnect, worker.timeout) == (
        shared.address, "names", 2500, 2500, 2500,
    )  # fmt: skip
    assert (worker.HEARTBEAT_LIVENESS, worker.liveness, worker.status, worker.verbose) == (3, 3, True, False)
    assert (worker.expect_reply, worker.reply_to) == (False, None)
    assert worker.heartbeat_at > time.monotonic()
    assert worker.worker is not None
    before = worker.worker
    worker.reconnect_to_broker()
    assert worker.worker is not before
    worker.send_to_broker(b"\x04")
    assert worker.take(timeout_s=0.01) is None
    worker.destroy()


def test_several_requests_at_work_in_threads(shared: BrokerProcess) -> None:
    worker = MajorDomoWorker(shared.address, "threads", credit=8)
    worker.heartbeat = 200
    together = threading.Barrier(4, timeout=LONG_S)
    client = PipeliningClient(shared.address)
    numbers = [client.submit("threads", str(one), timeout_s=LONG_S, attempt_s=LONG_S) for one in range(4)]

    def work() -> None:
        with taking:
            job = worker.take(LONG_S)
        assert job is not None
        together.wait()
        worker.answer(job, job.body)

    taking = threading.Lock()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    assert [client.result(number) for number in numbers] == [[b"0"], [b"1"], [b"2"], [b"3"]]
    for one in threads:
        one.join()
    client.destroy()
    worker.destroy()


def test_a_thousand_calls_under_way(shared: BrokerProcess, serve: Serve) -> None:
    for _ in range(2):
        serve(shared.address, "many", echo, credit=64)
    client = PipeliningClient(shared.address)
    numbers = [client.submit("many", str(one), timeout_s=LONG_S, attempt_s=LONG_S) for one in range(1000)]
    forgotten = client.submit("many", "forgotten")
    client.forget(forgotten)
    for place, number in reversed(list(enumerate(numbers))):
        assert client.result(number) == [b"%d" % place]
    client.destroy()


def test_parts_are_put_together(shared: BrokerProcess, client: MajorDomoClient) -> None:
    worker = MajorDomoWorker(shared.address, "parts", version=mdp.V02)
    worker.heartbeat = 200

    def work() -> None:
        job = worker.take(LONG_S)
        assert job is not None
        worker.answer(job, "1", final=False)
        worker.answer(job, ["2", "3"])

    thread = threading.Thread(target=work)
    thread.start()
    assert client.send("parts", "x") == [b"1", b"2", b"3"]
    thread.join()
    worker.destroy()


def test_a_killed_broker_is_found_again(own: BrokerProcess, serve: Serve) -> None:
    serve(own.address, "echo", echo)
    client = MajorDomoClient(own.address)
    pipelining = PipeliningClient(own.address)
    client.timeout, client.retries = 500, 40
    assert client.send("echo", "before") == [b"before"]
    own.kill()
    number = pipelining.submit("echo", "meanwhile", timeout_s=LONG_S, attempt_s=0.5)
    own.start()
    assert client.send("echo", "after") == [b"after"]
    assert pipelining.result(number) == [b"meanwhile"]
    client.destroy()
    pipelining.destroy()


def test_the_request_of_a_worker_that_leaves_goes_to_another(shared: BrokerProcess, serve: Serve) -> None:
    first = MajorDomoWorker(shared.address, "left")
    first.heartbeat = 200
    client = PipeliningClient(shared.address)
    number = client.submit("left", "x", timeout_s=LONG_S, attempt_s=LONG_S)
    assert first.take(LONG_S) is not None
    serve(shared.address, "left", echo)
    first.destroy()
    assert client.result(number) == [b"x"]
    client.destroy()
