"""Keys of peers, and all of them with a bus over TCP that asks for CURVE or PLAIN."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.bus.async_client import AsyncMajorDomoClient
from wayhouse.bus.async_publisher import AsyncKvPublisherClient, AsyncKvSubscriberClient
from wayhouse.bus.async_titanic_client import AsyncTitanicClient
from wayhouse.bus.async_worker import AsyncMajorDomoWorker
from wayhouse.bus.client import MajorDomoClient, PipeliningClient
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.keys import Curve, Keys, Plain, make_pair
from wayhouse.bus.model import Frames, NoReplyError
from wayhouse.bus.publisher import KvPublisherClient, KvSubscriberClient
from wayhouse.bus.server import BusServer
from wayhouse.bus.server_options import ServerSettings
from wayhouse.bus.titanic_client import TitanicClient
from wayhouse.bus.worker import MajorDomoWorker


def private(path: Path, content: object) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)
    return str(path)


class SecuredBus:
    """A bus in a thread, and the keys of somebody it knows."""

    def __init__(self, folder: Path, mechanism: str) -> None:
        server_public, server_secret = make_pair()
        public, secret = make_pair()
        known = {"plain": {"ann": "secret"}, "curve": {public: "ann"}}
        plain, curve = Plain("ann", "secret"), Curve(server_public, public, secret)
        self.keys = Keys(curve=curve) if mechanism == "curve" else Keys(plain=plain)
        self.strangers = (
            Keys(curve=Curve(server_public, *make_pair())),
            Keys(plain=Plain("ann", "guess")),
            Keys(),
        )
        one = {"plain": {"user": "ann", "password": "secret"}}
        two = {"curve": {"server": server_public, "public": public, "secret": secret}}
        self.keys_file = private(folder / "keys", two if mechanism == "curve" else one)
        settings = ServerSettings(
            port=0,
            mechanism=mechanism,
            secret_key=private(folder / "secret", server_secret) if mechanism == "curve" else None,
            credentials=private(folder / "known", known),
        )
        self.server = BusServer(settings)
        self.broker, *clone = self.server.listeners()
        self.clone = Endpoints(*clone)
        self._thread = threading.Thread(target=self.server.run)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join(10)


@pytest.fixture(params=["curve", "plain"])
def bus(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SecuredBus]:
    bus = SecuredBus(tmp_path, request.param)
    yield bus
    bus.close()


def test_programs_with_threads(bus: SecuredBus) -> None:
    worker = MajorDomoWorker(bus.broker, "echo", keys=bus.keys)
    serving = threading.Thread(target=lambda: worker.recv(worker.recv()))
    serving.start()
    client = MajorDomoClient(bus.broker, keys=bus.keys)
    assert client.send("echo", "hello") == [b"hello"]
    client.destroy()
    pipelining = PipeliningClient(bus.broker, keys=bus.keys)
    assert pipelining.result(pipelining.submit("mmi.echo", "x")) == [b"x", b"200"]
    pipelining.destroy()
    worker.shutdown()
    serving.join(10)
    worker.destroy()
    publisher = KvPublisherClient(endpoints=bus.clone, keys=bus.keys)
    publisher.send("device", "lamp", "on")
    end = time.monotonic() + 10
    found: list[str] = []
    while not found and time.monotonic() < end:
        subscriber = KvSubscriberClient(subtree="device", endpoints=bus.clone, keys=bus.keys)
        found = list(subscriber.kvmap)
        subscriber.destroy()
    assert found == ["/device/lamp"]
    publisher.destroy()


async def test_programs_with_a_loop(bus: SecuredBus) -> None:
    async def echo(body: Frames) -> Frames:
        return body

    async with (
        AsyncMajorDomoWorker(bus.broker, "echo", keys=bus.keys) as worker,
        AsyncMajorDomoClient(bus.broker, keys=bus.keys) as client,
        AsyncKvPublisherClient(endpoints=bus.clone, keys=bus.keys) as publisher,
        AsyncKvSubscriberClient(subtree="a", endpoints=bus.clone, keys=bus.keys) as subscriber,
    ):
        serving = asyncio.gather(worker.serve(echo))
        assert await client.call("echo", "hello") == [b"hello"]
        await publisher.send("a", "b", "c")
        await asyncio.wait_for(subscriber.synchronised(), 10)
        while not subscriber.kvmap:
            await asyncio.sleep(0.01)
        worker.shutdown()
        await serving


def test_titanic_and_its_clients(bus: SecuredBus, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wayhouse.bus.titanic_server", "--broker", bus.broker]
    command += ["--data", str(tmp_path), "--keys", bus.keys_file, "--collector", bus.clone.collector]
    titanic = subprocess.Popen(command)
    client = TitanicClient(bus.broker, "", timeout_s=5.0, keys=bus.keys)
    try:
        uuid = client.request("mmi.echo", "x")
        end = time.monotonic() + 10
        while client.status(uuid) == b"300" and time.monotonic() < end:
            client.check()
        asyncio.run(_one_more(bus))
    finally:
        client.destroy()
        titanic.terminate()
        assert titanic.wait(10) == 0


async def _one_more(bus: SecuredBus) -> None:
    client = AsyncTitanicClient(bus.broker, "", keys=bus.keys)
    assert client.status(await client.request("mmi.echo", "x")) == b"300"
    client.destroy()


async def test_strangers_get_no_answer(bus: SecuredBus) -> None:
    for keys in bus.strangers:
        if keys.curve is not None and bus.keys.curve is None:
            continue
        async with AsyncMajorDomoClient(bus.broker, keys=keys) as client:
            with pytest.raises(NoReplyError):
                await client.call("mmi.ping", "", timeout_s=0.3)
        follower = KvSubscriberClient(subtree="", endpoints=bus.clone, keys=keys, speed=0.2)
        assert not follower.is_synchronised
        follower.destroy()


def test_nothing_is_shown_over_a_unix_socket(tmp_path: Path) -> None:
    server = BusServer(ServerSettings(port=0, runtime=str(tmp_path), clone=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    client = MajorDomoClient(f"ipc://{tmp_path}/bus.sock", keys=Keys(plain=Plain("ann", "secret")))
    assert client.send("mmi.ping", "") == [b"200"]
    client.destroy()
    server.shutdown()
    thread.join(10)


def test_keys_come_from_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    public, secret = make_pair()
    curve = {"server": public, "public": public, "secret": secret}
    keys = Keys.from_file(private(tmp_path / "keys", {"curve": curve}))
    assert keys == Keys(curve=Curve(**curve))
    assert secret not in repr(keys)
    assert "secret" not in repr(Keys(plain=Plain("ann", "secret")))
    (tmp_path / "keys").chmod(0o644)
    with pytest.raises(BadInputError, match="chmod 600"):
        Keys.from_file(tmp_path / "keys")
    with pytest.raises(BadInputError, match="cannot be read"):
        Keys.from_file(tmp_path / "none")


@pytest.mark.parametrize(
    "content",
    [
        "nonsense",
        "{}x",
        {"curve": {"server": "", "public": "", "secret": ""}},
        {"curve": {"server": "\xe4" * 40, "public": "~" * 40, "secret": "x" * 40}},
        {"plain": {"user": "a"}},
        {
            "plain": {"user": "a", "password": "b"},
            "curve": {"server": "0" * 40, "public": "0" * 40, "secret": "0" * 40},
        },
        {"other": 1},
    ],
)
def test_keys_that_are_none_are_refused_without_being_shown(tmp_path: Path, content: object) -> None:
    with pytest.raises(BadInputError) as refused:
        Keys.from_file(private(tmp_path / "keys", content))
    assert "~~~~" not in str(refused.value)
