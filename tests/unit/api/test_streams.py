"""Channels as WebSockets and as server-sent events: both say the same, end the same, and clean up when a client leaves."""

import asyncio
import json
import logging

import pytest

from tests.parts import asgi
from tests.parts.asgi import RefusedError
from wayhouse.api import standing, streams
from wayhouse.api.table import Frame
from wayhouse.base.errors import NotFoundError


class Channel:
    """An application of one channel. `closed` is set when its frames were closed."""

    def __init__(self, make):
        self.make = make
        self.closed = asyncio.Event()
        self.sent = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":
            await streams.serve_socket(self.open, scope, receive, send)
        else:
            await streams.serve_events(self.open, scope, (), receive, send)

    async def open(self, incoming):
        return self.frames(await self.make(incoming))

    async def frames(self, inner):
        try:
            async for frame in inner:
                self.sent += 1
                yield frame
        finally:
            self.closed.set()


async def three():
    for number in range(3):
        yield f"line {number}"


async def endless():
    while True:
        yield "x" * 1000
        await asyncio.sleep(0)


async def silent():
    yield "first"
    await asyncio.Event().wait()


async def failing():
    yield "first"
    raise ValueError("broken inside")


def channel(frames):
    async def make(incoming):
        return frames()

    return Channel(make)


async def events(app, headers=None):
    async with asgi.exchange(
        app, "GET", "/", headers={"accept": "text/event-stream", **(headers or {})}
    ) as one:
        assert await one.begin() == 200
        return b"".join([part async for part in one.parts()])


async def test_both_ways_say_the_same_and_end():
    app = channel(three)
    async with asgi.websocket(app, "/") as socket:
        assert await socket.all() == ["line 0", "line 1", "line 2"]
        assert socket.close_code == 1000
    assert app.closed.is_set()
    assert await events(channel(three)) == (
        b"data: line 0\n\ndata: line 1\n\ndata: line 2\n\nevent: end\ndata:\n\n"
    )


async def test_frames_that_fail_do_not_look_like_the_end(caplog):
    with caplog.at_level(logging.ERROR):
        async with asgi.websocket(channel(failing), "/") as socket:
            assert await socket.all() == ["first"]
            assert socket.close_code == 1011
        assert await events(channel(failing)) == b"data: first\n\n"
    assert "broken inside" in caplog.text


@pytest.mark.parametrize("frames", [silent, endless])
async def test_a_client_that_leaves_ends_the_frames(frames):
    app = channel(frames)
    async with asgi.websocket(app, "/") as socket:
        assert await socket.receive()
    await asyncio.wait_for(app.closed.wait(), 5)
    app = channel(frames)
    async with asgi.exchange(app, "GET", "/", headers={"accept": "text/event-stream"}) as one:
        await one.begin()
        await anext(one.parts())
    await asyncio.wait_for(app.closed.wait(), 5)


async def test_a_client_that_reads_nothing_holds_one_frame_and_nobody_else_up():
    app = channel(endless)
    stuck = asyncio.Event()

    async def send(message):
        if message["type"] == "websocket.send":
            await stuck.wait()

    slow = asgi.Socket(asgi.scope_of("websocket", "/", subprotocols=[]))
    task = asyncio.create_task(app(slow.scope, slow._to_app.get, send))
    async with asgi.websocket(channel(three), "/") as socket:
        assert len(await socket.all()) == 3
    for _ in range(100):
        await asyncio.sleep(0)
    assert app.sent == 1
    slow.close()
    await asyncio.wait_for(task, 5)
    assert app.closed.is_set()


async def test_a_client_that_is_gone_while_something_is_sent_is_no_failure(caplog):
    app = channel(endless)
    gone = asyncio.Event()

    async def receive():
        await gone.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(message):
        if message["type"] == "websocket.send":
            gone.set()
            raise ConnectionResetError

    first = iter([{"type": "websocket.connect"}])

    async def receive_all():
        message = next(first, None)
        return message if message is not None else await receive()

    with caplog.at_level(logging.DEBUG):
        await asyncio.wait_for(app(asgi.scope_of("websocket", "/"), receive_all, send), 5)
    assert app.closed.is_set()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_cancelling_the_server_closes_the_frames():
    app = channel(silent)
    one = asgi.Exchange(asgi.scope_of("http", "/", method="GET", headers={"accept": "text/event-stream"}))
    task = asyncio.create_task(one.run(app))
    await one.begin()
    await anext(one.parts())
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert app.closed.is_set()


async def test_what_the_client_says_comes_in_and_a_flood_is_dropped():
    async def echo(incoming):
        async def frames():
            async for text in incoming.frames:
                yield text

        return frames()

    async with asgi.websocket(Channel(echo), "/") as socket:
        socket.send("hello")
        socket.send(b"bytes are not heard")
        assert await socket.receive() == "hello"

    async def deaf(incoming):
        return silent()

    async with asgi.websocket(Channel(deaf), "/") as socket:
        for _ in range(10 * standing.WAITING_FRAMES):
            socket.send("x")
        assert await socket.receive() == "first"


async def test_a_refusal_is_plain_http_before_the_upgrade():
    async def refuse(incoming):
        raise NotFoundError("Nothing here.")

    with pytest.raises(RefusedError) as refused:
        async with asgi.websocket(Channel(refuse), "/"):
            pass
    assert refused.value.answer.status == 404
    assert refused.value.answer.json()["detail"] == "Nothing here."
    old_server = asgi.Socket(asgi.scope_of("websocket", "/"))
    await old_server.run(Channel(refuse))
    with pytest.raises(RefusedError) as refused:
        await old_server.open()
    assert refused.value.answer.status == 403


async def test_a_plain_get_is_told_how_to_ask():
    async with asgi.exchange(channel(three), "GET", "/") as one:
        assert await one.begin() == 426
        headers = dict(one.start["headers"])
    assert headers[b"upgrade"] == b"websocket"


async def test_an_event_keeps_a_text_whole_whatever_its_lines_are():
    async def odd():
        yield json.dumps({"a": "x\u2028y\x85z"}, ensure_ascii=False)
        yield "one\ntwo\r\nthree"
        yield b"\x01\xff"
        yield ""

    assert await events(channel(odd)) == (
        'data: {"a": "x\u2028y\x85z"}\n\n'.encode()
        + b"data: one\ndata: two\ndata: three\n\ndata: 01ff\n\ndata: \n\nevent: end\ndata:\n\n"
    )


async def test_a_quiet_stream_is_kept_alive(monkeypatch):
    monkeypatch.setattr(streams, "KEEPALIVE_S", 0.01)
    async with asgi.exchange(channel(silent), "GET", "/", headers={"accept": "text/event-stream"}) as one:
        await one.begin()
        parts = one.parts()
        assert await anext(parts) == b"data: first\n\n"
        assert await anext(parts) == b": still here\n\n"


async def numbered():
    yield Frame(None, "0")
    for number in range(1, 4):
        yield Frame(f"line {number}", str(number))


async def test_a_cursor_is_an_events_id_and_leaves_a_websocket_as_it_is():
    assert await events(channel(numbered)) == (
        b"id: 0\n\nid: 1\ndata: line 1\n\nid: 2\ndata: line 2\n\nid: 3\ndata: line 3\n\nevent: end\ndata:\n\n"
    )
    async with asgi.websocket(channel(numbered), "/") as socket:
        assert await socket.all() == ["line 1", "line 2", "line 3"]


@pytest.mark.parametrize(
    ("target", "headers", "found"),
    [
        ("/", {}, None),
        ("/?resume=", {}, None),
        ("/?resume=a%2Cb", {}, "a,b"),
        ("/", {"last-event-id": "c"}, "c"),
        ("/?resume=a", {"last-event-id": "c"}, "c"),
    ],
)
async def test_a_client_comes_back_with_the_header_or_the_query(target, headers, found):
    seen = []

    async def note(incoming):
        seen.append(incoming.resume)
        return three()

    accept = {"accept": "text/event-stream"}
    await asgi.ask(Channel(note), "GET", target, headers={**accept, **headers})
    async with asgi.websocket(Channel(note), target, headers=headers) as socket:
        await socket.all()
    assert seen == [found, found]


async def test_a_cursor_without_end_is_refused_before_the_upgrade():
    with pytest.raises(RefusedError) as refused:
        async with asgi.websocket(channel(three), "/?resume=" + "x" * 20_000):
            pass
    assert refused.value.answer.status == 400


async def test_what_a_connection_records_is_what_was_written():
    one = standing.Standing()
    async with asgi.websocket(channel(numbered), "/", **{standing.KEY: one}) as socket:
        await socket.all()
    assert (one.cursor, one.is_stream) == ("3", True)


async def test_a_stream_that_is_taken_over_goes_on_with_what_was_not_answered():
    async def echo(incoming):
        async def frames():
            yield f"after {incoming.resume}"
            async for text in incoming.frames:
                yield text

        return frames()

    one = standing.Standing("7", ["a", "b"], taken_over=True)
    socket = asgi.Socket(asgi.scope_of("websocket", "/?resume=1", **{standing.KEY: one}))
    task = asyncio.create_task(socket.run(Channel(echo)))
    assert [await socket.receive() for _ in range(3)] == ["after 7", "a", "b"], "without a second handshake"
    socket.close()
    await task


async def test_a_stream_that_is_taken_over_and_refused_now_makes_its_client_come_back():
    async def refuse(incoming):
        raise NotFoundError("Nothing here any more.")

    taken = {standing.KEY: standing.Standing("7", taken_over=True)}
    socket = asgi.Socket(asgi.scope_of("websocket", "/", **taken))
    task = asyncio.create_task(socket.run(Channel(refuse)))
    assert await socket.receive() is None
    assert socket.close_code == 1012
    await task
    taken = {standing.KEY: standing.Standing("7", taken_over=True)}
    accept = {"accept": "text/event-stream"}
    async with asgi.exchange(Channel(refuse), "GET", "/", headers=accept, **taken) as one:
        assert await one.begin() == 0, "no second head"
        assert one.start == {"type": "http.response.body", "body": b"", "more_body": False}
