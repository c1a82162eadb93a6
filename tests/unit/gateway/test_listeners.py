"""The sockets, and what uvicorn is kept from doing on them."""

import asyncio
import errno
import logging
import os
import socket
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.errors import BadInputError, PermanentError
from wayhouse.base.tasks import Tasks
from wayhouse.gateway import http_connection, listeners
from wayhouse.gateway.listeners import APPS, bind_tcp, bind_unix, parse_address, server


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        (":80", ("0.0.0.0", 80)),
        ("[::1]:80", ("::1", 80)),
        ("gw.local:0", ("gw.local", 0)),
    ],
)
def test_addresses(text, found):
    assert parse_address(text) == found


@pytest.mark.parametrize("text", ["", "80", "host", "host:", "host:x", "host:65536", "host:-1"])
def test_what_is_no_address_is_refused_with_an_example(text):
    with pytest.raises(BadInputError, match=r"127\.0\.0\.1:8080"):
        parse_address(text)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_refused(text):
    try:
        _, port = parse_address(text)
    except BadInputError:
        return
    assert 0 <= port <= 65535


def test_a_port_in_use_is_told_with_another():
    with bind_tcp("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        other = port + 1 if port < 65535 else port - 1
        with pytest.raises(PermanentError, match=f"in use.*--listen 127.0.0.1:{other}"):
            bind_tcp("127.0.0.1", port)


def test_other_reasons_are_told_as_well():
    with pytest.raises(PermanentError, match=r"cannot listen on 203\.0\.113\.1:1"):
        bind_tcp("203.0.113.1", 1)
    with pytest.raises(PermanentError, match="cannot listen on no such host:1"):
        bind_tcp("no such host", 1)
    refused = OSError(errno.EACCES, "no")
    assert listeners._cannot_listen("::1", 80, refused).endswith("--listen [::1]:8080")
    taken = OSError(errno.EADDRINUSE, "no")
    assert listeners._cannot_listen("h", 65535, taken).endswith("--listen h:65534")


def test_a_socket_replaces_what_a_crash_left(tmp_path):
    path = tmp_path / "deep" / "x.sock"
    bind_unix(path, 0o660).close()
    assert path.exists()
    with bind_unix(path, 0o640), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_path_that_is_too_long_is_told_with_advice(tmp_path):
    with pytest.raises(PermanentError, match=r"too long.*shorter --data"):
        bind_unix(tmp_path / ("x" * 120), 0o600)


def test_tls_files_that_are_none_are_refused_before_anything_starts(tmp_path):
    (tmp_path / "x").write_text("nonsense")
    with pytest.raises(BadInputError, match="TLS cannot be served"):
        server(print, certificate=tmp_path / "x", key=tmp_path / "x")


def test_at_debug_no_header_reaches_the_log():
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        server(print)
        assert not logging.getLogger("uvicorn.error").isEnabledFor(logging.INFO)
    finally:
        logging.getLogger().setLevel(level)


class Served:
    """An application that tells who calls, on TCP and on two UNIX sockets."""

    def __init__(self, directory):
        self.tcp = bind_tcp("127.0.0.1", 0)
        self.own = bind_unix(directory / "own.sock", 0o666)
        self.apps = bind_unix(directory / APPS, 0o666)
        self.port = self.tcp.getsockname()[1]
        self.streams = 0
        self.failed = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":
            await self.socket(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/stream":
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            self.streams += 1
            return
        told = f"{scope['client'][0]} {len(body)}".encode()
        await send({"type": "http.response.body", "body": told})

    async def socket(self, scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while scope["path"] == "/flood":
                await send({"type": "websocket.send", "bytes": bytes(100_000)})
            await send({"type": "websocket.send", "text": scope["client"][0]})
            while (await receive())["type"] != "websocket.disconnect":
                pass
        finally:
            self.streams += 1


@pytest.fixture
async def served(tmp_path):
    one = Served(tmp_path)
    async with Tasks() as tasks:
        one.server = server(one)
        tasks.spawn(one.server.serve([one.tcp, one.own, one.apps]), name="http")
        while not one.server.started:
            await asyncio.sleep(0.001)
        yield one
        for listener in one.server.servers:
            listener.close()


async def told(reader, writer, request=b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
    writer.write(request)
    data = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return data


async def test_the_kernel_says_who_calls_on_the_own_socket_alone(served, tmp_path):
    on_tcp = await told(*await asyncio.open_connection("127.0.0.1", served.port))
    on_own = await told(*await asyncio.open_unix_connection(tmp_path / "own.sock"))
    on_apps = await told(*await asyncio.open_unix_connection(tmp_path / APPS))
    assert b"127.0.0.1 0" in on_tcp
    assert f"unix:{os.getuid()} 0".encode() in on_own
    assert b"apps 0" in on_apps


async def test_a_websocket_of_the_own_socket_is_known_too(served, tmp_path):
    import aiohttp

    for name, client in (("own.sock", f"unix:{os.getuid()}"), (APPS, "apps")):
        connector = aiohttp.UnixConnector(str(tmp_path / name))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.ws_connect("http://x/ws") as ws,
        ):
            assert await ws.receive_str() == client


ENDLESS = [
    b"GET / HTTP/1.1\r\nX: " + b"x" * http_connection.MAX_HEAD * 2,
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (http_connection.MAX_HEAD // 3),
    b"GET /" + b"x" * http_connection.MAX_HEAD * 2,
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * http_connection.MAX_HEAD * 2,
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * http_connection.MAX_HEAD * 2,
]


@pytest.mark.parametrize("request_", ENDLESS, ids=["value", "headers", "path", "trailer", "extension"])
async def test_what_does_not_come_to_an_end_is_cut_off(served, request_):
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        data = await told(reader, writer, request_)
        assert data.startswith(b"HTTP/1.1 400 ")
    except ConnectionError:
        pass  # it was still sending
    again = await told(*await asyncio.open_connection("127.0.0.1", served.port))
    assert again.startswith(b"HTTP/1.1 200")


async def test_a_large_body_is_no_large_head(served):
    size = http_connection.MAX_HEAD * 3
    request = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
    data = await told(*await asyncio.open_connection("127.0.0.1", served.port), request + bytes(size))
    assert f"127.0.0.1 {size}".encode() in data


async def test_who_takes_too_long_for_a_head_is_let_go(served, monkeypatch):
    monkeypatch.setattr(http_connection, "HEAD_S", 0.05)
    for begin in (b"", b"GET / HTT", b"GET / HTTP/1.1\r\nX: y\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(begin)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.write(b"GET / HT")
    assert b"HTTP/1.1" not in await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_a_slow_body_is_waited_for(served, monkeypatch):
    monkeypatch.setattr(http_connection, "HEAD_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\n")
    for byte in (b"a", b"b", b"c"):
        await asyncio.sleep(0.06)
        writer.write(byte)
    assert b"127.0.0.1 3" in await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_a_stream_hears_that_the_server_stops(served):
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"begun")
    for connection in list(served.server.server_state.connections):
        connection.shutdown()
    assert await asyncio.wait_for(reader.read(), 5) in {b"", b"\r\n"}
    while not served.streams:
        await asyncio.sleep(0.001)
    writer.close()


async def test_a_websocket_whose_client_reads_nothing_is_given_up(served, monkeypatch):
    monkeypatch.setattr(listeners, "PING_S", 0.05)
    served.server.config.ws_ping_interval = served.server.config.ws_ping_timeout = 0.05
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
    writer.write(
        b"GET /flood HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(5):
        while not served.streams:
            await asyncio.sleep(0.01)
    assert not served.server.server_state.connections
    writer.close()
