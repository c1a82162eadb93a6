"""The two clients against real processes."""

# covers: bus/async_titanic_client.py

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.titanic import Bus, work
from wayhouse.bus import mdp
from wayhouse.bus.async_titanic_client import AsyncTitanicClient
from wayhouse.bus.drivers.frames import drain, send
from wayhouse.bus.model import ClientError, EndpointError, NoReplyError, ServerError
from wayhouse.bus.titanic_client import TitanicClient


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    bus = Bus(tmp_path)
    try:
        bus.start_titanic()
        bus.wait_for_titanic()
        yield bus
    finally:
        bus.close()


@pytest.fixture
def client(bus: Bus) -> Iterator[TitanicClient]:
    client = TitanicClient(bus.endpoint, "host", poll=20)
    yield client
    client.destroy()


def test_a_request_with_a_callback(bus: Bus, client: TitanicClient) -> None:
    called: list[Any] = []
    worker, done = bus.worker(b"host.echo"), Counter[bytes]()
    uuid = client.request(
        "echo", ["hello"], callback=lambda *given: called.append(given), args=(1,), kwargs={"a": 2}
    )
    silent = client.request("nobody")
    assert client.status(uuid) == b"300"
    bus.until(lambda: (work(worker, done), client.check(), called)[2])
    assert called == [([b"did hello"], (1,), {"a": 2})]
    assert client.status(uuid) == b"200"
    assert client.status(uuid) == b"400"
    assert client.status(silent) == b"300"
    assert bus.ask(b"titanic.reply", [uuid.encode()]) == [b"400"], "it was closed"


def test_run_in_a_thread_until_shutdown(bus: Bus, client: TitanicClient) -> None:
    called = threading.Event()
    worker, done = bus.worker(b"host.echo"), Counter[bytes]()
    thread = threading.Thread(target=client.run)
    thread.start()
    try:

        def fail(*_: object) -> None:
            raise RuntimeError("a callback may fail")

        client.request("echo", "a", callback=fail)
        client.request("echo", "b", callback=lambda *_: called.set())
        bus.until(lambda: (work(worker, done), called.is_set())[1])
    finally:
        client.shutdown()
        thread.join(10)
    assert not thread.is_alive()


def test_no_host_the_default_payload_and_a_plain_request(bus: Bus, client: TitanicClient) -> None:
    uuid = client.request()
    bus.until(lambda: (client.check(), client.status(uuid) != b"300")[1])
    worker, done = bus.worker(b"bare"), Counter[bytes]()
    uuid = client.request("bare", "x", hostname="")
    bus.until(lambda: (work(worker, done), client.check(), done)[2])
    assert client.send("mmi.echo", ["a", b"b"]) == [b"a", b"b", b"200"]


def test_once_and_ttl(bus: Bus, client: TitanicClient) -> None:
    uuid = client.request("nobody", "x", once=True, ttl_s=0.3)
    bus.until(lambda: (client.check(), client._talks.book.pending() == [])[1])
    with pytest.raises(ServerError, match="expired"):
        client.take(uuid)
    assert client.take(uuid) is None


def test_a_uuid_of_the_clients_choice_is_done_once(bus: Bus, client: TitanicClient) -> None:
    worker, done = bus.worker(b"host.echo"), Counter[bytes]()
    chosen = "c0ffee" + "0" * 26
    called: list[Any] = []
    for _ in range(2):
        assert (
            client.request("echo", "x", uuid=chosen, once=True, callback=lambda *given: called.append(given))
            == chosen
        )
    with pytest.raises(ClientError, match="another"):
        client.request("echo", "y", uuid=chosen, once=True)
    bus.until(lambda: (work(worker, done), client.check(), called)[2])
    assert client.take(chosen) == [b"did x"]
    later = TitanicClient(bus.endpoint, "host")
    assert later.request("echo", "x", uuid=chosen, once=True) == chosen, "it was closed, and is known still"
    later.check()
    with pytest.raises(ClientError, match="400"):
        later.take(chosen)
    with pytest.raises(ClientError, match="32"):
        later.request("echo", "x", uuid="../../etc/passwd")
    later.destroy()
    work(worker, done)
    assert done == {b"x": 1}
    assert len(called) == 1


def test_errors(bus: Bus, client: TitanicClient) -> None:
    with pytest.raises(ClientError):
        client.request("x" * 300, "body")
    nobody = TitanicClient(f"ipc://{bus.folder}/nobody.sock", timeout_s=0.05, retries=2)
    with pytest.raises(NoReplyError):
        nobody.request("echo")
    nobody.destroy()
    assert nobody.send("echo", "x") is None
    nobody.destroy()
    with pytest.raises(EndpointError):
        TitanicClient("nowhere")


def test_a_titanic_that_knows_no_marks(tmp_path: Path) -> None:
    """One that has the three services of RFC 9 alone, in this thread."""
    bus = Bus(tmp_path)
    service = bus.worker(b"titanic.request")
    client = TitanicClient(bus.endpoint, "host", timeout_s=5.0)
    asked: list[list[bytes]] = []

    def serve() -> None:
        for frames in drain(service):
            message = mdp.parse_at_worker(frames)
            if message.command == mdp.REQUEST:
                asked.append(message.body)
                send(service, mdp.build_worker_reply(message.client, [b"200 OK", b"AB" * 16]))

    uuids: list[str] = []
    thread = threading.Thread(target=lambda: uuids.append(client.request("echo", "x")))
    thread.start()
    bus.until(lambda: (serve(), uuids)[1])
    thread.join(10)
    assert uuids == ["ab" * 16]
    assert asked == [[b"host.echo", b"x"]]
    for marks in ({"once": True}, {"uuid": "ab" * 16}):
        with pytest.raises(ClientError, match="once"):
            client.request("echo", "x", **marks)  # type: ignore[arg-type]
    client.destroy()
    bus.close()


async def test_the_asyncio_client(bus: Bus) -> None:
    client = AsyncTitanicClient(bus.endpoint, "host", poll=20)
    worker, done = bus.worker(b"host.echo"), Counter[bytes]()
    called: list[Any] = []
    running = asyncio.gather(client.run())
    uuids = await asyncio.gather(
        *(client.request("echo", f"{n}", callback=lambda *given: called.append(given[0])) for n in range(5))
    )
    refused = await client.request("nobody", "x", ttl_s=0.1, uuid="ab" * 16)
    assert refused == await client.request("nobody", "x", ttl_s=0.1, uuid=b"ab" * 16)
    assert client.status(uuids[0]) == b"300"
    for _ in range(500):
        work(worker, done)
        if len(called) == 5 and refused not in [uuid.hex() for uuid in client._talks.book.pending()]:
            break
        await asyncio.sleep(0.02)
    assert sorted(called) == [[b"did %d" % n] for n in range(5)]
    assert client.take(uuids[1]) == [b"did 1"]
    with pytest.raises(ServerError, match="expired"):
        client.take(refused)
    assert await client.send("mmi.echo", "a") == [b"a", b"200"]
    with pytest.raises(ClientError):
        await client.request("x" * 300)
    client.shutdown()
    await running
    client.destroy()


async def test_the_asyncio_client_gives_up(tmp_path: Path) -> None:
    client = AsyncTitanicClient(f"ipc://{tmp_path}/nobody.sock", timeout_s=0.05, retries=2)
    with pytest.raises(NoReplyError):
        await client.request("echo")
    waiting = asyncio.gather(client.send("echo", "x"))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await client.send("echo", "x") is None
    client.destroy()
    assert await client.send("echo", "x") is None
    with pytest.raises(EndpointError):
        AsyncTitanicClient("nowhere")
