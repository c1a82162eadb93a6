"""A gateway whose bus asks for keys, as its owner sets it up: two settings, and `wayhouse bus key add`. Programs connect over TCP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.gateway import GatewayProcess
from wayhouse.base.errors import UnavailableError
from wayhouse.bus.async_client import AsyncMajorDomoClient
from wayhouse.bus.async_publisher import AsyncKvPublisherClient, AsyncKvSubscriberClient
from wayhouse.bus.async_worker import AsyncMajorDomoWorker
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.keys import Curve, Keys, Plain, make_pair
from wayhouse.bus.model import Frames, NoReplyError


@pytest.fixture(params=["curve", "plain"])
def gateway(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Secured]:
    one = Secured(tmp_path, request.param)
    one.process.start()
    yield one
    one.process.stop()


class Secured:
    def __init__(self, folder: Path, mechanism: str) -> None:
        self.folder, self.mechanism = folder, mechanism
        env = {"WAYHOUSE_BUS_MECHANISM": mechanism, "WAYHOUSE_BUS_ADDRESS": "0.0.0.0"}
        self.process = GatewayProcess(folder / "d", env=env)

    def command(self, *words: str) -> str:
        run = [
            sys.executable,
            "-m",
            "wayhouse.cli.main",
            "--data",
            str(self.process.data),
            "bus",
            "key",
            *words,
        ]
        done = subprocess.run(run, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def let_in(self, name: str) -> Keys:
        file = self.folder / f"{name}.keys"
        self.command("add", name, "--out", str(file), *(["--plain"] if self.mechanism == "plain" else []))
        return Keys.from_file(file)

    def wrong(self) -> list[Keys]:
        server = self.command("show-server").strip()
        guess = Plain("worker", "guess")
        return [Keys(), Keys(plain=guess), Keys(curve=Curve(server, *make_pair()))]

    @property
    def broker(self) -> str:
        found: str = self.process.request("GET", "/api/v1/bus")[1]["endpoints"]["broker"]
        assert found.startswith("tcp://0.0.0.0:")
        return found.replace("0.0.0.0", "127.0.0.1")

    @property
    def clone(self) -> Endpoints:
        return Endpoints.of("127.0.0.1", int(self.broker.rpartition(":")[2]))


async def echo(body: Frames) -> Frames:
    return [*body, b"200"]


async def answers(client: AsyncMajorDomoClient, timeout_s: float = 1.0) -> bool:
    try:
        return await client.call("echo", "x", timeout_s=timeout_s, attempt_s=timeout_s) == [b"x", b"200"]
    except NoReplyError:
        return False


async def test_programs_from_outside(gateway: Secured) -> None:
    keys, broker, clone = gateway.let_in("worker"), gateway.broker, gateway.clone
    others = gateway.let_in("other")
    async with (
        asyncio.timeout(90),
        AsyncMajorDomoWorker(broker, "echo", keys=keys) as worker,
        AsyncMajorDomoClient(broker, keys=others) as client,
        AsyncKvPublisherClient(endpoints=clone, keys=keys) as publisher,
        AsyncKvSubscriberClient(subtree="a", endpoints=clone, keys=others) as subscriber,
    ):
        serving = asyncio.gather(worker.serve(echo))
        while not await answers(client):
            pass
        await subscriber.synchronised()
        await publisher.send("a", "b", "from outside")
        while "/a/b" not in subscriber.kvmap:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(_the_gateway_itself, gateway.process)
        while "/a/own" not in subscriber.kvmap:
            await asyncio.sleep(0.02)
        for wrong in gateway.wrong():
            await _gets_nothing(gateway, wrong)
        assert set(subscriber.kvmap) == {"/a/b", "/a/own"}
        worker.shutdown()
        await serving


def _the_gateway_itself(process: GatewayProcess) -> None:
    """It needs no key on its own bus."""
    assert process.request("PUT", "/api/v1/bus/keys?key=/a/own", {"value": "1"})[0] == 200
    found: dict[str, Any] = {}
    while set(found) != {"/a/b", "/a/own"}:
        listed = process.request("GET", "/api/v1/bus/keys?prefix=/a/")[1]["keys"]
        found = {one["key"]: one["value"] for one in listed}
    assert found["/a/b"] == "from outside"
    order = {"service": "echo", "request": ["x"], "durable": True}
    assert process.request("POST", "/api/v1/bus/call", order)[1]["reply"] == ["x", "200"]


async def _gets_nothing(gateway: Secured, keys: Keys) -> None:
    async with (
        AsyncMajorDomoClient(gateway.broker, keys=keys) as client,
        AsyncKvPublisherClient(endpoints=gateway.clone, keys=keys) as publisher,
        AsyncKvSubscriberClient(subtree="a", endpoints=gateway.clone, keys=keys) as subscriber,
    ):
        with contextlib.suppress(UnavailableError):
            await publisher.send("a", "forged", "x")
        assert not await answers(client, 0.5)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await subscriber.synchronised()
        assert not subscriber.kvmap


async def test_a_peer_that_was_removed_is_out_and_the_others_go_on(gateway: Secured) -> None:
    broker, clone = gateway.broker, gateway.clone
    stays, goes = gateway.let_in("stays"), gateway.let_in("goes")
    async with (
        asyncio.timeout(90),
        AsyncMajorDomoWorker(broker, "echo", keys=stays) as worker,
        AsyncMajorDomoClient(broker, keys=stays) as client,
        AsyncMajorDomoClient(broker, keys=goes) as removed,
        AsyncKvSubscriberClient(subtree="a", endpoints=clone, keys=stays) as subscriber,
        AsyncKvSubscriberClient(subtree="a", endpoints=clone, keys=goes) as cut_off,
    ):
        serving = asyncio.gather(worker.serve(echo))
        while not (await answers(client) and await answers(removed)):
            pass
        await asyncio.gather(subscriber.synchronised(), cut_off.synchronised())
        assert "goes may connect no more." in gateway.command("rm", "goes")
        while await answers(removed):
            pass
        while not await answers(client):
            pass
        assert gateway.process.request("PUT", "/api/v1/bus/keys?key=/a/after", {"value": "1"})[0] == 200
        while "/a/after" not in subscriber.kvmap:
            await asyncio.sleep(0.02)
        assert not cut_off.kvmap
        assert not await answers(removed)
        worker.shutdown()
        await serving
    assert [one["name"] for one in json.loads(gateway.command("ls", "--json"))["peers"]] == ["stays"]


def test_a_bus_that_is_open_to_everybody_must_be_wished_for(tmp_path: Path) -> None:
    open_to_all = {"WAYHOUSE_BUS_ADDRESS": "0.0.0.0"}
    one = GatewayProcess(tmp_path / "d", env=open_to_all)
    one.start(ready=False)
    assert one.process is not None
    assert one.process.wait(30) != 0
    told = one.output.read_text()
    assert "open_to_network" in told
    assert "bus.mechanism" in told or "`mechanism`" in told
    one.start(env={"WAYHOUSE_BUS_OPEN_TO_NETWORK": "true"})
    try:
        assert "whoever reaches it may do everything" in one.output.read_text()
        run = [sys.executable, "-m", "wayhouse.cli.main", "--data", str(one.data), "check", "--json"]
        found = json.loads(subprocess.run(run, capture_output=True, check=False).stdout)
        assert [each["verdict"] for each in found if each["name"] == "bus"] == ["warn"]
    finally:
        one.stop()
