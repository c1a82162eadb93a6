"""The asyncio key/value clients against a real server in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from tests.parts.clone_process import CloneProcess, endpoints_in
from wayhouse.base.errors import UnavailableError
from wayhouse.bus import async_publisher
from wayhouse.bus.async_publisher import AsyncKvPublisherClient, AsyncKvSubscriberClient
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.model import EndpointError
from wayhouse.bus.subscriber import Patience

LONG_S = 30.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CloneProcess]:
    process = CloneProcess(tmp_path)
    yield process
    process.kill()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while not holds():
            await asyncio.sleep(0.01)


async def test_updates_are_followed_and_told(server: CloneProcess) -> None:
    told: list[tuple[str, bytes | None]] = []
    ends = server.endpoints
    async with (
        AsyncKvPublisherClient(endpoints=ends) as publisher,
        AsyncKvSubscriberClient(
            subtree="device", endpoints=ends, on_change=lambda *one: told.append(one)
        ) as client,
    ):
        async with asyncio.timeout(LONG_S):
            await client.synchronised()
        await publisher.send("device", "lamp", "on")
        await publisher.send("event", "x", "y")
        await publisher.send("device", "short", "1", ttl_s=0.1)
        await publisher.delete("device", "lamp")
        await until(lambda: ("/device/short", None) in told)
        assert told == [
            ("/device/lamp", b"on"), ("/device/short", b"1"), ("/device/lamp", None), ("/device/short", None),
        ]  # fmt: skip
        assert client.kvmap == {}
        assert client.sequence > 0
        running = asyncio.gather(client.run())
        client.shutdown()
        await running
        client.destroy()


async def test_many_keys_and_a_server_that_is_killed(server: CloneProcess) -> None:
    ends, patience = server.endpoints, Patience(answer_s=0.5, silence_s=2.0, pause_s=0.2)
    async with AsyncKvPublisherClient(endpoints=ends) as publisher:
        for number in range(5000):
            await publisher.send("device", str(number), "1")
        async with AsyncKvSubscriberClient(subtree="", endpoints=ends, patience=patience) as client:
            await until(lambda: len(client.kvmap) == 5000)
            server.kill()
            server.start()
            await publisher.send("device", "new", "1")
            await until(lambda: list(client.kvmap) == ["/device/new"])
            assert client.is_synchronised


async def test_without_a_server_sending_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_publisher, "SEND_TIMEOUT_S", 0.01)
    client = AsyncKvPublisherClient(endpoints=endpoints_in(tmp_path))

    async def send_for_ever() -> None:
        while True:
            await client.send(body="x")

    with pytest.raises(UnavailableError):
        await send_for_ever()
    client._socket.setsockopt(zmq.LINGER, 0)
    await client.destroy()
    bad = Endpoints("nonsense", "nonsense", "nonsense")
    for kind in (AsyncKvPublisherClient, AsyncKvSubscriberClient):
        with pytest.raises(EndpointError):
            kind(endpoints=bad)
