"""Which server has which socket; waiting for them to begin, and for their requests to end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
import pytest

from tests.parts.house import House, house
from wayhouse.base.clock import SystemClock
from wayhouse.base.errors import BadInputError, PermanentError
from wayhouse.base.tasks import Tasks
from wayhouse.chutes.ports import EngineInfo
from wayhouse.gateway import certificate, serving
from wayhouse.gateway.listeners import APPS, server
from wayhouse.gateway.settings import GatewaySettings
from wayhouse.gateway.sockets import Sockets

HOST = "127.0.0.1"


class Address(NamedTuple):
    family: int
    address: str


ON_BRIDGE = [Address(socket.AF_INET6, "fe80::1"), Address(socket.AF_INET, "127.0.0.9")]


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as one:
        yield one


@pytest.fixture
def listening() -> Iterator[Sockets]:
    with Sockets({}) as found:
        found.tcp("web", HOST, 0)
        yield found


@pytest.fixture(autouse=True)
def bridges(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Address]]:
    """The machine's network interfaces."""
    found: dict[str, list[Address]] = {}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)
    return found


def as_engine(one: House, name: str) -> Any:
    return msgspec.structs.replace(one.gateway, engine_info=EngineInfo(name=name, version="1"))


def test_without_tls_one_server_has_all(whole: House, listening: Sockets) -> None:
    ((_, sockets),) = serving.open_servers(whole.gateway, listening, whole.paths, None)
    names = listening.names()
    assert sockets == [names["web"], names["local"], names["apps"]]
    assert names["local"].getsockname() == str(whole.paths.socket)
    assert names["apps"].getsockname() == str(whole.paths.runtime / APPS)
    modes = [path.stat().st_mode & 0o777 for path in (whole.paths.socket, whole.paths.runtime / APPS)]
    assert modes == [0o660, 0o666]


def test_with_tls_what_never_leaves_the_machine_goes_without(whole: House, listening: Sockets) -> None:
    tls = certificate.files(GatewaySettings(tls="self-made"), whole.paths.config / "keys", SystemClock())
    (first, people), (second, own) = serving.open_servers(whole.gateway, listening, whole.paths, tls)
    names = listening.names()
    assert people == [names["web"]]
    assert own == [names["local"], names["apps"]]
    assert (first.config.is_ssl, second.config.is_ssl) == (True, False)


def test_tls_that_cannot_be_is_told(whole: House, listening: Sockets, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    with pytest.raises(BadInputError, match="TLS cannot be served"):
        serving.open_servers(whole.gateway, listening, whole.paths, (nonsense, nonsense))


def test_containers_reach_it_over_their_bridge(
    whole: House, listening: Sockets, bridges: dict[str, list[Address]]
) -> None:
    bridges["podman0"] = ON_BRIDGE
    ((_, sockets),) = serving.open_servers(as_engine(whole, "docker"), listening, whole.paths, None)
    port = listening.names()["web"].getsockname()[1]
    assert listening.names()["bridge"].getsockname() == ("127.0.0.9", port)
    assert len(sockets) == 4


@pytest.mark.parametrize(
    ("engine", "host", "addresses"),
    [("sandbox", HOST, ON_BRIDGE), ("docker", "0.0.0.0", ON_BRIDGE), ("docker", HOST, ON_BRIDGE[:1])],
)
def test_no_bridge_where_none_is_needed_or_there(
    whole: House, bridges: dict[str, list[Address]], engine: str, host: str, addresses: list[Address]
) -> None:
    bridges["docker0"] = addresses
    with Sockets({}) as listening:
        listening.tcp("web", host, 0)
        serving.open_servers(as_engine(whole, engine), listening, whole.paths, None)
        assert set(listening.names()) == {"web", "local", "apps"}


def test_a_bridge_that_is_taken_keeps_nothing_from_starting(
    whole: House, listening: Sockets, bridges: dict[str, list[Address]]
) -> None:
    bridges["docker0"] = [Address(socket.AF_INET, HOST)]
    serving.open_servers(as_engine(whole, "docker"), listening, whole.paths, None)
    assert "bridge" not in listening.names()


async def ask(where: Any) -> bytes:
    reader, writer = await (
        asyncio.open_unix_connection(where) if isinstance(where, str) else asyncio.open_connection(*where)
    )
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_it_serves_from_the_first_to_the_last(whole: House, listening: Sockets) -> None:
    opened = serving.open_servers(whole.gateway, listening, whole.paths, None)
    servers = [one for one, _ in opened]
    async with Tasks() as tasks:
        running = [tasks.spawn(one.serve(sockets), name="http") for one, sockets in opened]
        await serving.until_started(servers, running)
        for sock in listening.names().values():
            assert (await ask(sock.getsockname())).startswith(b"HTTP/1.1 200 OK")
        await serving.stop(servers)
        await asyncio.gather(*running)


class Waiting:
    """An application whose one request lasts until `free`."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.free = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        await self.free.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


async def test_a_request_may_end_before_all_stops(listening: Sockets) -> None:
    app = Waiting()
    one = server(app)
    web = listening.names()["web"]
    async with Tasks() as tasks:
        running = [tasks.spawn(one.serve([web]), name="http")]
        await serving.until_started([one], running)
        asking = asyncio.ensure_future(ask(web.getsockname()))
        await app.asked.wait()
        stopping = asyncio.ensure_future(serving.stop([one]))
        await asyncio.sleep(0.1)
        assert not stopping.done()
        app.free.set()
        assert b"done" in await asking
        await stopping
        await asyncio.gather(*running)


async def test_but_not_for_ever(listening: Sockets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STOP_LOOKS", 2)
    app = Waiting()
    one = server(app)
    web = listening.names()["web"]
    async with Tasks() as tasks:
        running = [tasks.spawn(one.serve([web]), name="http")]
        await serving.until_started([one], running)
        asking = asyncio.ensure_future(ask(web.getsockname()))
        await app.asked.wait()
        await serving.stop([one])
        assert not asking.done()
        app.free.set()
        await asking
        await asyncio.gather(*running)


async def test_one_that_never_began_is_not_waited_for() -> None:
    await serving.stop([server(print)])


async def test_a_gateway_that_cannot_serve_is_not_waited_for() -> None:
    async with Tasks() as tasks:
        done = tasks.spawn(asyncio.sleep(0), name="http")
        with pytest.raises(PermanentError, match="could not begin to serve"):
            await serving.until_started([server(print)], [done])
