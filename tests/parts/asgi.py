"""Drives an ASGI application in the same process and event loop: requests, streams and WebSockets, without a port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

STRANGER = ("203.0.113.9", 40000)


class Answer:
    def __init__(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        self.headers = dict(self.pairs)
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"Answer({self.status}, {self.body[:500]!r})"


def scope_of(
    kind: str,
    target: str,
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    client: tuple[str, int] | None = STRANGER,
    **more: Any,
) -> dict[str, Any]:
    raw, _, query = target.partition("?")
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.append(("host", "gateway.test"))
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws" if kind == "websocket" else "http",
        "path": unquote(raw),
        "raw_path": raw.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
        "client": client,
        "server": ("gateway.test", 80),
        **more,
    }


class Exchange:
    """One request that is under way. `leave` is the client going away, `feed` another part of the body."""

    def __init__(self, scope: dict[str, Any], body: bytes = b"", *, more_body: bool = False) -> None:
        self.scope = scope
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.feed(body, more_body=more_body)
        self._sent: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.start: dict[str, Any] = {}

    def feed(self, body: bytes, *, more_body: bool = False) -> None:
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": more_body})

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> dict[str, Any]:
        return await self._incoming.get()

    async def send(self, message: dict[str, Any]) -> None:
        self._sent.put_nowait(message)

    async def run(self, app: Any) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        finally:
            self._sent.put_nowait(None)

    async def begin(self) -> int:
        """The status, once it is there."""
        self.start = await self._next() or {}
        return int(self.start.get("status", 0))

    async def parts(self) -> AsyncIterator[bytes]:
        while (message := await self._next()) is not None:
            yield message.get("body", b"")
            if not message.get("more_body"):
                return

    async def _next(self) -> dict[str, Any] | None:
        return await asyncio.wait_for(self._sent.get(), 10)


@asynccontextmanager
async def exchange(app: Any, method: str, target: str, **more: Any) -> AsyncIterator[Exchange]:
    """A request whose answer is read as it comes; leaving the context is the client leaving."""
    body, more_body = more.pop("body", b""), more.pop("more_body", False)
    one = Exchange(scope_of("http", target, method=method, **more), body, more_body=more_body)
    task = asyncio.create_task(one.run(app))
    try:
        yield one
    finally:
        one.leave()
        await asyncio.wait_for(task, 10)


async def ask(app: Any, method: str, target: str, body: Any = None, **more: Any) -> Answer:
    """One request and its whole answer. A body that is not bytes is sent as JSON."""
    headers = dict(more.pop("headers", {}))
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers = {"content-type": "application/json", **headers}
    async with exchange(app, method, target, body=body or b"", headers=headers, **more) as one:
        status = await one.begin()
        data = b"".join([part async for part in one.parts()])
    return Answer(status, one.start.get("headers", ()), data)


class RefusedError(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


class Socket:
    """The client's end of a WebSocket."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope
        self.subprotocol: str | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._sent: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def run(self, app: Any) -> None:
        try:
            await app(self.scope, self._to_app.get, self._sent.put)
        finally:
            self._sent.put_nowait(None)

    async def open(self) -> None:
        first = await self._next()
        if first["type"] == "websocket.accept":
            self.subprotocol = first.get("subprotocol")
            return
        if first["type"] == "websocket.close":
            raise RefusedError(Answer(403, (), b""))
        body = await self._next()
        raise RefusedError(Answer(first["status"], first["headers"], body["body"]))

    def send(self, data: str | bytes) -> None:
        key = "bytes" if isinstance(data, bytes) else "text"
        self._to_app.put_nowait({"type": "websocket.receive", key: data})

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def receive(self) -> str | bytes | None:
        """The next frame; None when the other side has closed."""
        message = await self._next()
        if message["type"] == "websocket.close":
            self.close_code, self.close_reason = message.get("code", 1000), message.get("reason") or ""
            return None
        found: str | bytes = message["text"] if message.get("text") is not None else message["bytes"]
        return found

    async def all(self) -> list[str | bytes]:
        found = []
        while (frame := await self.receive()) is not None:
            found.append(frame)
        return found

    async def _next(self) -> dict[str, Any]:
        message = await asyncio.wait_for(self._sent.get(), 10)
        assert message is not None, "the application returned without closing the WebSocket"
        return message


@asynccontextmanager
async def websocket(
    app: Any, target: str, *, subprotocols: Iterable[str] = (), **more: Any
) -> AsyncIterator[Socket]:
    """An accepted WebSocket; raises `RefusedError` with the plain answer. Leaving the context closes it."""
    extensions = {"websocket.http.response": {}}
    one = Socket(
        scope_of("websocket", target, subprotocols=list(subprotocols), extensions=extensions, **more)
    )
    task = asyncio.create_task(one.run(app))
    try:
        await one.open()
        yield one
    finally:
        one.close()
        await asyncio.wait_for(task, 10)
