"""The way to an app and back, with a real app on a real port and the gateway's own server in front."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest
from aiohttp import web

from tests.parts import asgi
from tests.parts.asgi import RefusedError
from wayhouse.api.apps import Apps, WebSettings
from wayhouse.api.drivers import forward as driver
from wayhouse.api.drivers.forward import HttpForward
from wayhouse.base.tasks import Tasks
from wayhouse.gateway.listeners import bind_tcp, server

HOST = {"host": "app.chute.localhost"}


class TheApp:
    """What an app may do to a proxy."""

    def __init__(self):
        self.seen = []
        self.left = asyncio.Event()
        self.ended = []

    def routes(self):
        found = web.Application(client_max_size=64 * 2**20)
        found.router.add_route("*", "/echo{rest:.*}", self.echo)
        found.router.add_get("/drip", self.drip)
        found.router.add_get("/unchanged", self.unchanged)
        found.router.add_get("/cut", self.cut)
        found.router.add_get("/gzip", self.gzip)
        found.router.add_get("/redirect", self.redirect)
        found.router.add_get("/ws", self.ws)
        found.router.add_get("/ws-refused", self.refused)
        return found

    async def echo(self, request):
        body = await request.read()
        self.seen.append(request)
        headers = {"x-raw-path": request.raw_path, "x-method": request.method, "x-size": str(len(body))}
        answer = web.Response(body=body or b"hello", status=201, headers=headers)
        answer.set_cookie("one", "1")
        answer.set_cookie("two", "2")
        return answer

    async def drip(self, request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"drop")
                await asyncio.sleep(0.01)
        finally:
            self.left.set()

    async def unchanged(self, request):
        return web.Response(status=304, headers={"etag": '"x"'})

    async def cut(self, request):
        answer = web.StreamResponse(headers={"content-length": "1000"})
        await answer.prepare(request)
        await answer.write(b"half")
        request.transport.abort()
        return answer

    async def gzip(self, request):
        return web.Response(body=b"\x1f\x8bnot really", headers={"content-encoding": "gzip"})

    async def redirect(self, request):
        raise web.HTTPFound("/elsewhere")

    async def refused(self, request):
        raise web.HTTPForbidden

    async def ws(self, request):
        ours = web.WebSocketResponse(protocols=("chat", "superchat"))
        await ours.prepare(request)
        self.seen.append(request)
        async for message in ours:
            if message.data == "end":
                await ours.close(code=4321, message=b"as you wish")
            elif message.data == "vanish":
                request.transport.abort()
            elif message.type is aiohttp.WSMsgType.TEXT:
                await ours.send_str(message.data.upper())
            else:
                await ours.send_bytes(message.data[::-1])
        self.ended.append(ours.close_code)
        self.left.set()
        return ours


@pytest.fixture
async def the_app():
    one = TheApp()
    runner = web.AppRunner(one.routes(), shutdown_timeout=0.1)
    await runner.setup()
    listener = bind_tcp("127.0.0.1", 0)
    await web.SockSite(runner, listener).start()
    one.port = listener.getsockname()[1]
    yield one
    await runner.cleanup()


@pytest.fixture
async def gateway(the_app):
    """The ASGI application, with what it answers to served on `port` as well."""

    async def otherwise(scope, receive, send):
        raise AssertionError("not the app's")

    ports = {"app": the_app.port, "down": 1}
    forward = HttpForward()
    app = Apps(ports.get, WebSettings(), forward, otherwise)
    one = server(app)
    listener = bind_tcp("127.0.0.1", 0)
    app.port = listener.getsockname()[1]
    async with Tasks() as tasks:
        tasks.spawn(one.serve([listener]), name="http")
        while not one.started:
            await asyncio.sleep(0.001)
        yield app
        one.servers[0].close()
    await forward.close()


@pytest.fixture
async def client():
    async with aiohttp.ClientSession(
        headers=HOST, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    ) as one:
        yield one


def url(gateway, path):
    return aiohttp.client.URL(f"http://127.0.0.1:{gateway.port}{path}", encoded=True)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_every_method_path_and_query_arrives_as_sent(gateway, client, method):
    path = "/echo/a%2Fb//%C3%A9/..%2f/x?q=%20+&q=2&%C3%A9"
    async with client.request(method, url(gateway, path)) as answer:
        assert answer.status == 201
        assert (answer.headers["x-method"], answer.headers["x-raw-path"]) == (method, path)
        assert answer.headers.getall("set-cookie") == ["one=1; Path=/", "two=2; Path=/"]
        assert await answer.read() == b"hello"


async def test_headers_arrive_as_the_bytes_they_were(gateway, the_app, client):
    async with client.get(
        url(gateway, "/echo"), headers={"x-name": "Ünal ✓", "origin": "http://app.chute.localhost"}
    ):
        pass
    headers = the_app.seen[0].headers
    assert headers["x-name"] == "Ünal ✓"
    assert headers["host"] == HOST["host"]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers.getall("host") == [HOST["host"]]


async def test_head_has_the_headers_alone(gateway, client):
    async with client.head(url(gateway, "/echo")) as answer:
        assert (answer.status, answer.headers["content-length"]) == (201, "5")
        assert await answer.read() == b""


async def test_not_modified_has_no_body(gateway, client):
    for _ in range(2):  # the second on the same connection
        async with client.get(url(gateway, "/unchanged")) as answer:
            assert (answer.status, answer.headers["etag"]) == (304, '"x"')


async def test_a_body_with_a_length_keeps_it(gateway, the_app, client):
    data = bytes(range(256)) * 4_000
    async with client.post(url(gateway, "/echo"), data=data) as answer:
        assert await answer.read() == data
    assert the_app.seen[0].headers["content-length"] == str(len(data))
    assert "transfer-encoding" not in the_app.seen[0].headers


async def test_a_body_in_chunks_stays_one(gateway, the_app, client):
    async def parts():
        for _ in range(50):
            yield b"x" * 10_000

    async with client.post(url(gateway, "/echo"), data=parts()) as answer:
        assert answer.headers["x-size"] == "500000"
    assert the_app.seen[0].headers["transfer-encoding"] == "chunked"


async def test_expecting_a_continue_is_answered_here(gateway, the_app, client):
    async with client.post(url(gateway, "/echo"), data=b"x" * 100, expect100=True) as answer:
        assert answer.headers["x-size"] == "100"
    assert "expect" not in the_app.seen[0].headers


async def test_encodings_and_redirects_are_left_as_they_are(gateway, client):
    async with client.get(url(gateway, "/gzip")) as answer:
        assert (answer.headers["content-encoding"], await answer.read()) == ("gzip", b"\x1f\x8bnot really")
    async with client.get(url(gateway, "/redirect"), allow_redirects=False) as answer:
        assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")


async def test_a_stream_flows_and_the_app_learns_that_the_client_left(gateway, the_app, client):
    async with client.get(url(gateway, "/drip")) as answer:
        assert (await answer.content.readany()).startswith(b"drop")
    await asyncio.wait_for(the_app.left.wait(), 5)


async def test_an_upload_that_stops_in_the_middle_leaves_nothing_waiting(gateway, the_app):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /echo HTTP/1.1\r\nHost: app.chute.localhost\r\nContent-Length: 1000\r\n\r\nhalf")
    await writer.drain()
    writer.transport.abort()
    with contextlib.suppress(OSError):
        assert await reader.read() == b""
    assert the_app.seen == []


async def test_an_answer_that_is_cut_is_cut_for_the_client_as_well(gateway, client):
    with pytest.raises(aiohttp.ClientPayloadError):
        async with client.get(url(gateway, "/cut")) as answer:
            await answer.read()


async def test_an_app_that_is_down_is_a_502(gateway, client):
    for method in ("GET", "POST"):
        headers = {"host": "down.chute.localhost"}
        async with client.request(method, url(gateway, "/"), headers=headers, data=b"x") as answer:
            assert (answer.status, await answer.text()) == (502, "The app does not answer.\n")


async def test_a_websocket_carries_text_bytes_and_the_subprotocol(gateway, the_app, client):
    async with client.ws_connect(url(gateway, "/ws"), protocols=("superchat",), origin="http://x.test") as ws:
        assert ws.protocol == "superchat"
        await ws.send_str("hé")
        assert await ws.receive_str() == "HÉ"
        await ws.send_bytes(b"\x00\xff")
        assert await ws.receive_bytes() == b"\xff\x00"
        await ws.close(code=4001, message=b"bye")
    await asyncio.wait_for(the_app.left.wait(), 5)
    assert the_app.ended == [4001]
    assert the_app.seen[0].headers["origin"] == "http://x.test"


async def test_the_apps_close_reaches_the_client_with_code_and_reason(gateway, client):
    async with client.ws_connect(url(gateway, "/ws")) as ws:
        await ws.send_str("end")
        message = await ws.receive()
        assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4321, "as you wish")


async def test_an_app_that_vanishes_is_no_normal_close(gateway, client):
    async with client.ws_connect(url(gateway, "/ws")) as ws:
        await ws.send_str("vanish")
        message = await ws.receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1011)


async def test_a_client_that_vanishes_is_told_to_the_app(gateway, the_app, client):
    ws = await client.ws_connect(url(gateway, "/ws"))
    ws._response.connection.transport.abort()
    await asyncio.wait_for(the_app.left.wait(), 5)


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [("app", "/ws-refused", 403), ("app", "/none", 404), ("app", "/echo", 502), ("down", "/ws", 502)],
)
async def test_a_handshake_that_the_app_refuses_is_refused_alike(gateway, host, path, status):
    with pytest.raises(RefusedError) as refused:
        async with asgi.websocket(gateway, path, headers={"host": f"{host}.chute.localhost"}):
            pass
    assert refused.value.answer.status == status


async def test_an_app_that_never_answers_a_handshake_is_given_up(gateway, monkeypatch):
    monkeypatch.setattr(driver, "CONNECT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        gateway._web_port = {"mute": mute.getsockname()[1]}.get
        with pytest.raises(RefusedError) as refused:
            async with asgi.websocket(gateway, "/", headers={"host": "mute.chute.localhost"}):
                pass
    assert refused.value.answer.status == 502


@pytest.mark.parametrize(
    ("code", "sent"),
    [(None, 1000), (1000, 1000), (1005, 1000), (1006, 1011), (1015, 1011), (999, 1011), (2999, 1011), (3000, 3000), (4999, 4999), (5000, 1011), (1004, 1011), (1012, 1012)],
)  # fmt: skip
def test_only_codes_that_may_be_sent_are(code, sent):
    assert driver._sendable(code) == sent


async def test_through_the_whole_gateway(house, the_app):
    """By host name, whatever its capitals, to the port that the app was given."""
    web_service = {"web": {"service": "main", "port": 8000}}
    await house.install("Hello", **web_service)
    port = (await house.ask("GET", "/api/v1/chutes/Hello")).json()["web"]["host_port"]
    answer = await house.ask("GET", "/chutes/Hello/x", who=None)
    assert answer.headers["location"] == f"http://gateway.test:{port}/x"
    assert (await house.ask("GET", "/x", who=None, headers={"host": "hello.chute.localhost"})).status == 502
    await house.gateway.ledger.wait(
        (await house.ask("POST", "/api/v1/chutes/Hello/stop")).json()["change_id"]
    )
    assert (await house.ask("GET", "/x", who=None, headers={"host": "hello.chute.localhost"})).status == 404
