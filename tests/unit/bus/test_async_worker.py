"""The asyncio client and worker against the broker in a process of its own."""

# covers: bus/async_client.py, bus/drivers/edge.py

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.broker_process import BrokerProcess
from wayhouse.base.tasks import Tasks
from wayhouse.bus import mdp
from wayhouse.bus.async_client import AsyncMajorDomoClient
from wayhouse.bus.async_worker import AsyncMajorDomoWorker
from wayhouse.bus.model import EndpointError, NoReplyError

LONG_S = 30.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    process = BrokerProcess(tmp_path_factory.mktemp("bus"), "--heartbeat", "0.5")
    yield process
    process.kill()


async def echo(body: list[bytes]) -> list[bytes]:
    return body


async def test_many_calls_at_once_each_get_their_own_answer(broker: BrokerProcess) -> None:
    async def backwards(body: list[bytes]) -> list[bytes]:
        await asyncio.sleep(0.02 - int(body[0]) / 50_000)
        return body

    async with (
        AsyncMajorDomoWorker(broker.address, "async", credit=64, heartbeat_s=0.2) as worker,
        AsyncMajorDomoClient(broker.tcp) as client,
        Tasks() as tasks,
    ):
        tasks.spawn(worker.serve(backwards), name="worker")
        answers = await asyncio.gather(
            *(client.call("async", str(one), timeout_s=LONG_S) for one in range(1000))
        )
        assert answers == [[b"%d" % one] for one in range(1000)]
        assert await client.send("mmi.service", "async") == [b"200"]
        worker.shutdown()


async def test_heartbeats_go_on_while_it_works(broker: BrokerProcess) -> None:
    count = 0

    async def slow(body: list[bytes]) -> list[bytes]:
        nonlocal count
        count += 1
        await asyncio.sleep(2.5)
        return body

    async with (
        AsyncMajorDomoWorker(broker.address, "slow", heartbeat_s=0.2) as worker,
        AsyncMajorDomoClient(broker.address) as client,
        Tasks() as tasks,
    ):
        tasks.spawn(worker.serve(slow), name="worker")
        assert await client.call("slow", "x", timeout_s=LONG_S, attempt_s=LONG_S) == [b"x"]
        assert count == 1


async def test_a_handler_that_fails_is_answered_and_the_worker_goes_on(
    broker: BrokerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async def faulty(body: list[bytes]) -> list[bytes]:
        return [b"%d" % (1 // int(body[0]))]

    async with (
        AsyncMajorDomoWorker(broker.address, "faulty", heartbeat_s=0.2) as worker,
        AsyncMajorDomoClient(broker.address) as client,
        Tasks() as tasks,
    ):
        tasks.spawn(worker.serve(faulty), name="worker")
        with caplog.at_level(logging.CRITICAL):
            assert await client.call("faulty", "0", timeout_s=LONG_S) == [b"500"]
        assert await client.call("faulty", "1", timeout_s=LONG_S) == [b"1"]


async def test_parts_as_they_come(broker: BrokerProcess) -> None:
    async with (
        AsyncMajorDomoWorker(broker.address, "parts", version=mdp.V02, heartbeat_s=0.2) as worker,
        AsyncMajorDomoClient(broker.address, version=mdp.V02) as client,
        Tasks() as tasks,
    ):

        async def count() -> None:
            job = await worker.take()
            assert job is not None
            for one in (b"1", b"2"):
                assert worker.answer(job, one, final=False)
            assert worker.answer(job, b"3")

        tasks.spawn(count(), name="worker")
        assert [part async for part in client.parts("parts", "x", timeout_s=LONG_S)] == [
            [b"1"],
            [b"2"],
            [b"3"],
        ]


async def test_nobody_answers_in_time(tmp_path: Path) -> None:
    async with AsyncMajorDomoClient(f"ipc://{tmp_path}/nobody") as client:
        with pytest.raises(NoReplyError):
            await client.call("echo", "x", timeout_s=0.05)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await client.call("echo", "x")
        assert client._parts == {}
        assert len(client._machine) == 0
    with pytest.raises(EndpointError):
        AsyncMajorDomoClient("nonsense")
    with pytest.raises(EndpointError):
        AsyncMajorDomoWorker("nonsense", "echo")


async def test_a_client_that_is_closed_leaves_no_caller_waiting(tmp_path: Path) -> None:
    client = AsyncMajorDomoClient(f"ipc://{tmp_path}/nobody")
    async with Tasks() as tasks:
        waiting = asyncio.get_running_loop().create_future()

        async def ask() -> None:
            try:
                await client.call("echo", "x", timeout_s=LONG_S)
            except NoReplyError:
                waiting.set_result(True)

        tasks.spawn(ask(), name="asking")
        await asyncio.sleep(0.01)
        await client.destroy()
        await client.destroy()
        assert await waiting


async def test_a_killed_broker_is_found_again(tmp_path: Path) -> None:
    own = BrokerProcess(tmp_path, "--heartbeat", "0.5")
    try:
        async with (
            AsyncMajorDomoWorker(own.address, "echo", heartbeat_s=0.2, reconnect_s=0.3) as worker,
            AsyncMajorDomoClient(own.address) as client,
            Tasks() as tasks,
        ):
            tasks.spawn(worker.serve(echo), name="worker")
            assert await client.call("echo", "before", timeout_s=LONG_S) == [b"before"]
            own.kill()
            own.start()
            assert await client.call("echo", "after", timeout_s=LONG_S, attempt_s=0.5) == [b"after"]
    finally:
        own.kill()
