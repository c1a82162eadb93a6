# covers: gateway/traffic.py, gateway/http_connection.py, gateway/websocket_connection.py
"""Connections go from one server to another as in an upgrade, between real sockets; their clients see nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import struct

import aiohttp
import msgspec
import pytest

from wayhouse.access.model import Identity, Role
from wayhouse.access.policy import Right
from wayhouse.api import streams
from wayhouse.api.http import Api, ApiSettings
from wayhouse.api.standing import TUNNEL
from wayhouse.api.table import Channel, Frame, Reply, endpoint
from wayhouse.base.clock import SystemClock
from wayhouse.base.errors import UnauthenticatedError, UnavailableError
from wayhouse.base.metrics import Metrics
from wayhouse.base.tasks import Tasks
from wayhouse.gateway import certificate, http_connection
from wayhouse.gateway.http_moving import HttpConnections
from wayhouse.gateway.listeners import bind_tcp, bind_unix, server
from wayhouse.gateway.settings import GatewaySettings

TOKEN = {"Authorization": "Bearer let me in"}
GET = b"GET /pid HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer let me in\r\n\r\n"
EVENTS = (
    b"GET /log HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer let me in\r\nAccept: text/event-stream\r\n\r\n"
)


class World:
    """What both servers share, as two processes share a disk: a log, and a gate at which requests wait."""

    def __init__(self):
        self.lines = []
        self.gate = asyncio.Event()
        self.waiting = 0
        self.refused = False
        self._more = asyncio.Event()

    def say(self, *lines):
        self.lines += lines
        self._more.set()
        self._more = asyncio.Event()

    async def follow(self, seen):
        while True:
            while seen < len(self.lines):
                seen += 1
                yield Frame(self.lines[seen - 1], str(seen))
            await self._more.wait()


class Resource:
    def __init__(self, world, name):
        self.world = world
        self.name = name

    async def pid(self, call):
        return {"server": self.name, "client": call.client}

    async def slow(self, call):
        self.world.waiting += 1
        await self.world.gate.wait()
        return {"server": self.name}

    async def take(self, call):
        size = 0
        async for chunk in call.chunks:
            size += len(chunk)
        return Reply({"server": self.name, "size": size})

    async def large(self, call):
        return Reply(bytes(8_000_000), media="application/octet-stream")

    async def log(self, call, incoming):
        if self.world.refused:
            raise UnauthenticatedError("Not any more.")
        return self.world.follow(int(incoming.resume or 0))

    async def echo(self, call, incoming):
        async def frames():
            async for text in incoming.frames:
                if text == "wait":
                    self.world.waiting += 1
                    await self.world.gate.wait()
                yield f"{self.name} {call.client} {text}"

        return frames()


R = Resource
SEE = Right.SEE
ROWS = (
    endpoint("GET", "/pid", SEE, "", R.pid, reply=dict),
    endpoint("GET", "/slow", SEE, "", R.slow, reply=dict),
    endpoint("GET", "/large", SEE, "", R.large, reply=dict),
    endpoint("POST", "/take", SEE, "", R.take, reply=dict, raw=True),
    Channel(path="/log", right=SEE, summary="", opener=R.log, resumes=True),
    Channel(path="/echo", right=SEE, summary="", opener=R.echo),
)


class Identify:
    async def authenticate(self, authorization, *, cookie_token=None, client=""):
        if authorization != TOKEN["Authorization"]:
            raise UnauthenticatedError("Sign in first.")
        return Identity("ann", role=Role.ADMIN)

    def identify_peer(self, uid):
        return Identity(f"uid {uid}", role=Role.ADMIN)


async def nothing(scope, receive, send):
    raise AssertionError


async def tunnels(scope, receive, send):
    """What is passed on to an app: a WebSocket and an endless answer that are not streams of ours."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    scope[TUNNEL] = True
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


class Daemon:
    def __init__(self, world, name, tasks, **tls):
        self.api = Api(
            ROWS, [Resource(world, name)], access=Identify(), audit=lambda *_: None, owner_of=lambda _: None,
            settings=ApiSettings(), metrics=Metrics(), otherwise=nothing,
        )  # fmt: skip
        self.server = server(self.front, **tls)
        self.http = HttpConnections([self.server])
        self._tasks = tasks
        self._serving = None

    async def front(self, scope, receive, send):
        await (tunnels if scope["path"] == "/app" else self.api)(scope, receive, send)

    async def start(self, listeners):
        self._serving = self._tasks.spawn(self.server.serve([one.dup() for one in listeners]), name="http")
        while not self.server.started:
            await asyncio.sleep(0.001)

    async def stop(self):
        self.server.should_exit = True
        if self._serving is not None:
            await self._serving


class Town:
    def __init__(self, directory, tasks):
        self.world = World()
        self.listeners = [bind_tcp("127.0.0.1", 0), bind_unix(directory / "own.sock", 0o600)]
        self.place = self.listeners[0].getsockname()
        self.path = str(directory / "own.sock")
        self.elder = Daemon(self.world, "elder", tasks)
        self.heir = Daemon(self.world, "heir", tasks)

    async def upgrade(self, *, in_between=None):
        """How many connections moved."""
        await self.elder.http.rest(5)
        parcels = self.elder.http.pack()
        await self.adopt(parcels)
        if in_between is not None:
            await in_between()
        self.elder.http.let_go()
        await asyncio.sleep(0.01)
        await self.heir.start(self.listeners)
        self.heir.http.go_on()
        return len(parcels)

    async def adopt(self, parcels):
        for state, fds in parcels:
            sent = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
            await self.heir.http.adopt(sent, [os.dup(fd) for fd in fds])

    async def connect(self, request=b""):
        reader, writer = await asyncio.open_connection(*self.place)
        writer.write(request)
        return reader, writer


@pytest.fixture
async def town(tmp_path, monkeypatch):
    monkeypatch.setattr("wayhouse.gateway.listeners.CLOSE_S", 0)
    async with Tasks() as tasks:
        one = Town(tmp_path, tasks)
        await one.elder.start(one.listeners)
        yield one
        for daemon in (one.elder, one.heir):
            await daemon.stop()
        for listener in one.listeners:
            listener.close()


async def answer(reader):
    """Of one request, as JSON."""
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        size = next(
            int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        )
        return json.loads(await reader.readexactly(size))


async def event(reader, *, data=True):
    """The next event's lines; with `data`, only its data."""
    async with asyncio.timeout(5):
        while True:
            size = int(await reader.readuntil(b"\r\n"), 16)
            chunk = (await reader.readexactly(size + 2))[:-2]
            if b"data: " in chunk:
                return chunk.decode().partition("data: ")[2].strip()


@contextlib.asynccontextmanager
async def sockets(town, *, unix=False):
    connector = aiohttp.UnixConnector(town.path) if unix else None
    async with aiohttp.ClientSession(connector=connector) as session:
        host = "http://x" if unix else f"http://127.0.0.1:{town.place[1]}"
        yield lambda path: session.ws_connect(host + path, headers={} if unix else TOKEN)


async def text(ws):
    return await ws.receive_str(timeout=5)


async def test_idle_connections_move_used_or_new(town):
    used, writer = await town.connect(GET)
    assert (await answer(used))["server"] == "elder"
    new, new_writer = await town.connect()
    await asyncio.sleep(0.01)
    assert await town.upgrade() == 2
    for reader, one in ((used, writer), (new, new_writer)):
        one.write(GET)
        assert (await answer(reader))["server"] == "heir"
        one.write(GET)
        assert (await answer(reader))["server"] == "heir"
        one.close()


@pytest.mark.parametrize("cut", [1, 10, 18, 40, len(GET) - 2, len(GET) - 1])
async def test_a_head_that_came_in_part_moves(town, cut):
    reader, writer = await town.connect(GET)
    await answer(reader)
    writer.write(GET[:cut])
    await asyncio.sleep(0.01)
    assert await town.upgrade() == 1
    writer.write(GET[cut:])
    assert (await answer(reader))["server"] == "heir"
    writer.close()


async def test_what_is_sent_while_they_rest_is_answered_afterwards(town):
    reader, writer = await town.connect(GET)
    await answer(reader)
    late = []

    async def in_between():
        writer.write(GET)
        late.append(await town.connect(GET))
        await asyncio.sleep(0.02)

    await town.upgrade(in_between=in_between)
    assert (await answer(reader))["server"] == "heir"
    assert (await answer(late[0][0]))["server"] == "heir"
    for one in (writer, late[0][1]):
        one.close()


async def test_requests_under_way_end_first_and_then_move(town):
    reader, writer = await town.connect(GET.replace(b"/pid", b"/slow"))
    upload = (
        b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nAuthorization: Bearer let me in\r\n\r\nabc"
    )
    sending, up = await town.connect(upload)
    while not town.world.waiting:
        await asyncio.sleep(0.001)

    async def end():
        await asyncio.sleep(0.02)
        town.world.gate.set()
        up.write(b"def")

    async with asyncio.TaskGroup() as group:
        group.create_task(end())
        moved = group.create_task(town.upgrade())
    assert moved.result() == 2
    assert await answer(reader) == {"server": "elder"}
    assert await answer(sending) == {"server": "elder", "size": 6}
    for one, connection in ((reader, writer), (sending, up)):
        connection.write(GET)
        assert (await answer(one))["server"] == "heir"
        connection.close()


async def test_requests_in_a_row_are_answered_in_order(town):
    """The second begins in the packet of the first, so nobody knows where: it is answered here, or its client hears the end."""
    reader, writer = await town.connect(GET.replace(b"/pid", b"/slow") + GET + GET)
    while not town.world.waiting:
        await asyncio.sleep(0.001)
    asyncio.get_running_loop().call_later(0.02, town.world.gate.set)
    assert await town.upgrade() == 1
    for _ in range(3):
        assert (await answer(reader))["server"] == "elder"
    writer.write(GET)
    assert (await answer(reader))["server"] == "heir"
    writer.close()


async def test_half_a_request_behind_a_whole_one_is_hung_up(town):
    reader, writer = await town.connect(GET + GET[:20])
    await answer(reader)
    assert await town.upgrade() == 0
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_a_request_that_does_not_end_puts_it_off(town):
    reader, writer = await town.connect(GET.replace(b"/pid", b"/slow"))
    idle, other = await town.connect(GET)
    await answer(idle)
    while not town.world.waiting:
        await asyncio.sleep(0.001)
    with pytest.raises(UnavailableError, match="1 requests have not ended"):
        await town.elder.http.rest(0.02)
    town.elder.http.carry_on()
    other.write(GET)
    assert (await answer(idle))["server"] == "elder"
    town.world.gate.set()
    assert await answer(reader) == {"server": "elder"}
    late, late_writer = await town.connect(GET)
    assert (await answer(late))["server"] == "elder"
    for one in (writer, other, late_writer):
        one.close()


async def test_a_request_whose_client_left_ends_too(town):
    _, writer = await town.connect(GET.replace(b"/pid", b"/slow"))
    while not town.world.waiting:
        await asyncio.sleep(0.001)
    writer.close()
    await asyncio.sleep(0.02)
    with pytest.raises(UnavailableError):
        await town.elder.http.rest(0.02)
    town.world.gate.set()
    await town.elder.http.rest(5)
    assert town.elder.http.pack() == []
    town.elder.http.carry_on()


async def test_streams_go_on_where_they_were(town):
    town.world.say("1", "2")
    reader, writer = await town.connect(EVENTS)
    await reader.readuntil(b"\r\n\r\n")
    async with sockets(town) as connect, connect("/log") as ws:
        assert [await event(reader), await event(reader)] == ["1", "2"]
        assert [await text(ws), await text(ws)] == ["1", "2"]

        async def in_between():
            town.world.say("3", "4")
            await asyncio.sleep(0.02)

        assert await town.upgrade(in_between=in_between) == 2
        town.world.say("5")
        assert [await event(reader) for _ in range(3)] == ["3", "4", "5"]
        assert [await text(ws) for _ in range(3)] == ["3", "4", "5"]
        await ws.ping()
        assert not ws.closed
        assert await ws.close()
        assert ws.close_code == 1000
    writer.close()


async def test_a_stream_goes_on_after_an_upgrade_that_was_taken_back(town):
    town.world.say("1")
    reader, writer = await town.connect(EVENTS)
    await reader.readuntil(b"\r\n\r\n")
    async with sockets(town) as connect, connect("/log") as ws, connect("/echo") as echo:
        assert (await event(reader), await text(ws)) == ("1", "1")
        for _ in range(3):
            await town.elder.http.rest(5)
            parcels = town.elder.http.pack()
            assert len(parcels) == 3
            town.world.say("2", "3")
            await echo.send_str("hello")
            await asyncio.sleep(0.02)
            town.elder.http.carry_on()
            assert [await event(reader), await event(reader)] == ["2", "3"]
            assert [await text(ws), await text(ws)] == ["2", "3"]
            assert await text(echo) == "elder 127.0.0.1 hello"
    writer.close()


async def test_a_heir_that_dies_leaves_everything_as_it_was(town):
    reader, writer = await town.connect(GET)
    await answer(reader)
    async with sockets(town) as connect, connect("/log") as ws:
        await town.elder.http.rest(5)
        await town.adopt(town.elder.http.pack())
        for one in list(town.heir.server.traffic.connections):
            one.transport.abort()
        await asyncio.sleep(0.01)
        town.elder.http.carry_on()
        town.world.say("1")
        assert await text(ws) == "1"
        writer.write(GET)
        assert (await answer(reader))["server"] == "elder"
    writer.close()


async def test_what_a_client_said_is_answered_once(town):
    async with sockets(town) as connect, connect("/echo") as ws:
        await ws.send_str("a")
        assert await text(ws) == "elder 127.0.0.1 a"
        await ws.send_str("wait")
        while not town.world.waiting:
            await asyncio.sleep(0.001)
        await ws.send_str("b")
        await asyncio.sleep(0.01)

        async def in_between():
            town.world.gate.set()
            await ws.send_str("c")
            await asyncio.sleep(0.02)

        assert await town.upgrade(in_between=in_between) == 1
        assert [await text(ws) for _ in range(3)] == [f"heir 127.0.0.1 {one}" for one in ("wait", "b", "c")]


def masked(data, opcode=1, *, fin=True):
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0x80 | 126, size)
    return bytes([(0x80 if fin else 0) | opcode]) + length + b"\0\0\0\0" + data


HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer let me in\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
SAID = masked(b"x" * 300) + masked(b"", 9) + masked(b"frag", fin=False) + masked(b"mented", 0)


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 8, 200, 308, 310, 315, 319, 322, 324, 326, 330])
async def test_a_frame_that_came_in_part_moves(town, cut):
    reader, writer = await town.connect(HANDSHAKE)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101")
    assert b"permessage-deflate" not in head
    writer.write(SAID[:cut])
    await asyncio.sleep(0.01)
    assert await town.upgrade() == 1
    writer.write(SAID[cut:])
    got = b""
    async with asyncio.timeout(5):
        while b"fragmented" not in got:
            got += await reader.read(1000)
    assert got.count(b"x" * 300) == 1
    assert b"\x8a\x00" in got, "the ping is answered"
    writer.close()


async def test_the_kernel_still_says_who_calls(town):
    async with sockets(town, unix=True) as connect, connect("/echo") as ws:
        assert await town.upgrade() == 1
        await ws.send_str("a")
        assert await text(ws) == f"heir unix:{os.getuid()} a"


async def test_many_move_at_once_and_no_line_is_lost(town):
    clients = [await town.connect(EVENTS) for _ in range(100)]
    for reader, _ in clients:
        await reader.readuntil(b"\r\n\r\n")
    talking = asyncio.Event()

    async def talk():
        number = 0
        while not talking.is_set():
            town.world.say(str(number))
            number += 1
            await asyncio.sleep(0.001)

    async with sockets(town) as connect, contextlib.AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(connect("/log")) for _ in range(100)]
        async with asyncio.TaskGroup() as group:
            group.create_task(talk())
            await asyncio.sleep(0.02)
            assert await town.upgrade() == 200
            await asyncio.sleep(0.02)
            talking.set()
        expected = town.world.lines
        for reader, writer in clients:
            assert [await event(reader) for _ in expected] == expected
            writer.close()
        for ws in watchers:
            assert [await text(ws) for _ in expected] == expected


async def test_it_moves_again_and_again(town):
    reader, writer = await town.connect(EVENTS)
    await reader.readuntil(b"\r\n\r\n")
    elder, heir = town.elder, town.heir
    town.world.say("1")
    assert await event(reader) == "1"
    await town.upgrade()
    third = Daemon(town.world, "third", heir._tasks)
    town.world.say("2")
    await heir.http.rest(5)
    parcels = heir.http.pack()
    assert parcels[0][0]["cursor"] in {"1", "2"}
    town.heir = third
    await town.adopt(parcels)
    heir.http.let_go()
    await third.start(town.listeners)
    third.http.go_on()
    town.world.say("3")
    assert [await event(reader), await event(reader)] == ["2", "3"]
    writer.close()
    await heir.stop()
    assert elder is town.elder


async def test_tunnels_are_not_waited_for_and_closed_in_the_end(town):
    reader, writer = await town.connect(b"GET /app HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"begun\r\n")
    async with sockets(town) as connect, connect("/app") as ws:

        async def in_between():
            await ws.send_str("still")
            assert await text(ws) == "still"

        assert await town.upgrade(in_between=in_between) == 0
        message = await ws.receive(timeout=5)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1012)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_a_client_that_does_not_read_stays_behind_and_loses_nothing_unseen(town):
    reader, writer = await town.connect(GET.replace(b"/pid", b"/large"))
    head = await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.05)
    assert b"8000000" in head
    await town.elder.http.rest(0.1)
    assert town.elder.http.pack() == []
    town.elder.http.carry_on()
    assert len(await asyncio.wait_for(reader.readexactly(8_000_000), 5)) == 8_000_000
    writer.write(GET)
    assert (await answer(reader))["server"] == "elder"
    writer.close()


async def test_a_stream_whose_client_does_not_read_is_closed_behind_what_it_has_to_read(town):
    watching, one = await town.connect(HANDSHAKE.replace(b"/echo", b"/log"))
    reading, two = await town.connect(EVENTS)
    await watching.readuntil(b"\r\n\r\n")
    await reading.readuntil(b"\r\n\r\n")
    town.world.say(*(f"{number:06}{'x' * 100_000}" for number in range(100)))
    await asyncio.sleep(0.1)
    await town.elder.http.rest(0.1)
    assert town.elder.http.pack() == []
    town.elder.http.let_go()
    stopping = asyncio.create_task(town.elder.stop())
    got = await asyncio.wait_for(watching.read(), 5)
    assert got.endswith(b"\x88\x02" + (1012).to_bytes(2))
    found = [number for number in range(100) if b"%06dx" % number in got]
    assert 0 < len(found) < 100
    assert found == list(range(len(found)))
    events = await asyncio.wait_for(reading.read(), 5)
    assert b"event: end" not in events
    await stopping
    for writer in (one, two):
        writer.close()


async def test_a_stream_that_is_refused_by_the_heir_is_ended_so_that_its_client_comes_back(town):
    reader, writer = await town.connect(EVENTS)
    await reader.readuntil(b"\r\n\r\n")
    async with sockets(town) as connect, connect("/log") as ws:
        town.world.refused = True
        await town.upgrade()
        message = await ws.receive(timeout=5)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, streams.RESTARTED)
    assert await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5) == b"0\r\n\r\n"
    writer.write(EVENTS)
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 401")
    writer.close()


async def test_tls_rests_and_stays_behind(town, tmp_path):
    pair = certificate.files(GatewaySettings(tls="self-made"), tmp_path, SystemClock())
    context = ssl.create_default_context(cafile=str(pair[0]))
    context.check_hostname = False
    secret = Daemon(town.world, "secret", town.elder._tasks, certificate=pair[0], key=pair[1])
    with bind_tcp("127.0.0.1", 0) as listener:
        await secret.start([listener])
        reader, writer = await asyncio.open_connection(*listener.getsockname(), ssl=context)
        writer.write(GET)
        assert (await answer(reader))["server"] == "secret"
        await secret.http.rest(5)
        writer.write(GET)
        await asyncio.sleep(0.02)
        assert secret.http.pack() == []
        secret.http.carry_on()
        assert (await answer(reader))["server"] == "secret"
        await secret.http.rest(5)
        secret.http.let_go()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await secret.stop()


async def test_clients_that_left_meanwhile_are_forgotten(town):
    _, writer = await town.connect(GET[:10])
    async with sockets(town) as connect, connect("/log"):

        async def in_between():
            writer.close()
            await asyncio.sleep(0.01)

        await town.upgrade(in_between=in_between)
    async with asyncio.timeout(5):
        while town.heir.server.traffic.connections or town.heir.server.traffic.tasks:
            await asyncio.sleep(0.005)


async def test_limits_hold_on_the_other_side(town, monkeypatch):
    reader, writer = await town.connect(GET[:10])
    await asyncio.sleep(0.01)
    monkeypatch.setattr(http_connection, "HEAD_S", 0.05)
    await town.upgrade()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


@pytest.mark.parametrize(
    "state", [{}, {"kind": "ftp"}, {"kind": "http", "more": 1}, {"kind": "http", "rest": 5}]
)
async def test_a_state_that_is_not_understood_is_refused_and_its_socket_closed(town, state):
    ours, theirs = socket.socketpair()
    with ours:
        with pytest.raises(ValueError, match="no HTTP connection"):
            await town.heir.http.adopt(state, [theirs.detach()])
        ours.settimeout(5)
        assert ours.recv(1) == b""
    with pytest.raises(ValueError, match="no HTTP connection"):
        await town.heir.http.adopt({"kind": "http"}, [])
