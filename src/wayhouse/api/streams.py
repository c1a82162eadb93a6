"""Drives channels: the same frames as a WebSocket or as server-sent events.

What can be refused is refused before the upgrade, with a plain HTTP answer; old clients rely on a 401 there. When the
frames end, the WebSocket is closed with 1000, and the event stream says `event: end` so that a browser's EventSource does
not come back for more. A frame's cursor goes out as the event's id; a WebSocket sends the frame alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from wayhouse.api import problems
from wayhouse.api.standing import Standing, standing_of
from wayhouse.api.table import Frame, Frames, Incoming, Reply
from wayhouse.base import codec
from wayhouse.base.errors import WayhouseError
from wayhouse.base.tasks import Tasks

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Sent = AsyncIterator[str | bytes | Frame | None]
Open = Callable[[Incoming], Awaitable[Frames]]

log = logging.getLogger(__name__)

KEEPALIVE_S = 15.0
RESTARTED = 1012
"""The close code of a server that restarts: come back (IANA's registry of RFC 6455)."""
_LINE_END = re.compile(r"\r\n|\r|\n")
"""Those of an event stream; `str.splitlines` knows more, which may stand inside a JSON text."""
_UPGRADE = (("upgrade", "websocket"), ("connection", "upgrade"))


class _UpgradeError(WayhouseError):
    code = "upgrade-required"
    status = 426
    title = "This is a stream"


async def serve_socket(open_frames: Open, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one WebSocket handshake and, if it is accepted, send frames until they or the client end."""
    await receive()  # websocket.connect
    standing = standing_of(scope)
    try:
        incoming = Incoming(standing.heard(), resume=standing.resume(scope))
        frames = _to_the_end(await open_frames(incoming))
    except Exception as error:  # noqa: BLE001 - the endpoint is one of the four borders
        if standing.taken_over:  # its client comes back, and is then told why not
            await send({"type": "websocket.close", "code": RESTARTED})
        else:
            await refuse(problems.reply_for(error), scope, send)
        return
    standing.open()
    if not standing.taken_over:
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    async with contextlib.aclosing(frames), Tasks() as tasks:  # type: ignore[type-var]
        sending = tasks.spawn(_send_all(frames, send, standing), name="socket-send")
        await _until_gone(receive, standing, sending, tasks)


async def serve_events(
    open_frames: Open, scope: Scope, more: Iterable[tuple[str, str]], receive: Receive, send: Send
) -> None:
    """Answer a plain GET on a channel: server-sent events if asked for, else 426 with a hint."""
    headers = dict(scope["headers"])
    standing = standing_of(scope)
    try:
        _demand_event_stream(headers.get(b"accept", b""))
        incoming = Incoming(_nothing(), is_deaf=True, resume=standing.resume(scope))
        frames = _to_the_end(await open_frames(incoming))
    except Exception as error:  # noqa: BLE001 - the endpoint is one of the four borders
        if standing.taken_over:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        reply = problems.reply_for(error, challenge=b"hx-request" not in headers)
        more = (*more, *_UPGRADE) if isinstance(error, _UpgradeError) else more
        await _send_plain(reply, more, send, "http")
        return
    standing.open()
    if not standing.taken_over:
        start = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
        start.extend((name.encode(), value.encode()) for name, value in more)
        await send({"type": "http.response.start", "status": 200, "headers": start})
    async with contextlib.aclosing(frames), Tasks() as tasks:  # type: ignore[type-var]
        sending = tasks.spawn(_send_events(frames, send, standing), name="events-send")
        leaving = tasks.spawn(_http_gone(receive), name="events-receive")
        tasks.spawn(_keep_alive(send), name="events-keep-alive")
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        await _settle(sending)


def _demand_event_stream(accept: bytes) -> None:
    if b"text/event-stream" not in accept:
        raise _UpgradeError("Open this as a WebSocket, or send `Accept: text/event-stream`.")


async def _send_all(frames: Sent, send: Send, standing: Standing) -> None:
    code = 1000
    with contextlib.suppress(OSError):  # the client is gone, which `_hear` sees as well
        async for frame in frames:
            if frame is None:
                code = 1011
                continue
            data, cursor = _apart(frame)
            if data is not None:
                key = "bytes" if isinstance(data, bytes) else "text"
                await send({"type": "websocket.send", key: data})
            standing.passed(cursor)
        await send({"type": "websocket.close", "code": code})


def _apart(frame: str | bytes | Frame) -> tuple[str | bytes | None, str | None]:
    """What to send, and the cursor; each may be missing."""
    return (frame.text, frame.cursor) if isinstance(frame, Frame) else (frame, None)


async def _to_the_end(frames: Frames) -> AsyncIterator[str | bytes | Frame | None]:
    """The frames; None at the end if they failed, since the client must learn that this was not all."""
    try:
        async with contextlib.aclosing(frames):  # type: ignore[type-var]
            async for frame in frames:
                yield frame
    except Exception:
        log.exception("a stream failed")
        yield None


async def _until_gone(
    receive: Receive, standing: Standing, sending: asyncio.Task[None], tasks: Tasks
) -> None:
    """Pass on what the client sends until it leaves or everything was sent."""
    hearing = tasks.spawn(_hear(receive, standing), name="socket-receive")
    await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
    await _settle(sending)


async def _hear(receive: Receive, standing: Standing) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        text = message.get("text")
        if text is not None:
            standing.hear(text)


async def _settle(task: asyncio.Task[None]) -> None:
    """Stop sending before the frames are closed: a generator must not be closed while it runs."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _send_events(frames: Sent, send: Send, standing: Standing) -> None:
    last = b"event: end\ndata:\n\n"
    async for frame in frames:
        if frame is None:
            last = b""  # without the end, an EventSource comes back
            continue
        data, cursor = _apart(frame)
        await send({"type": "http.response.body", "body": _event(data, cursor), "more_body": True})
        standing.passed(cursor)
    await send({"type": "http.response.body", "body": last, "more_body": False})


async def _keep_alive(send: Send) -> None:
    while True:
        await asyncio.sleep(KEEPALIVE_S)
        await send({"type": "http.response.body", "body": b": still here\n\n", "more_body": True})


def _event(data: str | bytes | None, cursor: str | None) -> bytes:
    """An event without data only sets the id that a client comes back with."""
    lines = [] if cursor is None else [f"id: {cursor}\n"]
    if data is not None:
        text = data if isinstance(data, str) else data.hex()
        lines += [f"data: {line}\n" for line in _LINE_END.split(text)]
    return "".join((*lines, "\n")).encode()


async def _http_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _nothing() -> AsyncIterator[str]:
    silence: tuple[str, ...] = ()
    for frame in silence:
        yield frame


async def refuse(reply: Reply, scope: Scope, send: Send) -> None:
    """Answer a WebSocket handshake with plain HTTP."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await _send_plain(reply, (), send, "websocket.http")
    else:
        await send({"type": "websocket.close", "code": 1008})


async def _send_plain(reply: Reply, more: Iterable[tuple[str, str]], send: Send, prefix: str) -> None:
    body = codec.encode_json(reply.body)
    headers = [(b"content-type", reply.media.encode()), (b"content-length", str(len(body)).encode())]
    headers.extend((name.encode(), value.encode()) for name, value in (*reply.headers, *more))
    await send({"type": f"{prefix}.response.start", "status": reply.status, "headers": headers})
    await send({"type": f"{prefix}.response.body", "body": body})
