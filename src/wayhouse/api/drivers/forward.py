"""Forwards requests and WebSockets to an app's port on this machine, through aiohttp (loaded on first use)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from wayhouse.api.apps import Target, end_to_end
from wayhouse.base.tasks import Tasks

if TYPE_CHECKING:
    import aiohttp

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

CHUNK = 64 * 1024
_NOT_REACHED = b"The app does not answer.\n"
_SOCKET_OWN = {
    b"sec-websocket-key",
    b"sec-websocket-version",
    b"sec-websocket-extensions",
    b"sec-websocket-protocol",
}


class HttpForward:
    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def http(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        import aiohttp

        has_body = any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])
        started = False
        try:
            async with self._client().request(
                scope["method"],
                _url("http", target),
                headers=_pairs(target),
                data=_body(receive) if has_body else None,
                allow_redirects=False,
            ) as answer:
                headers = end_to_end(answer.raw_headers)
                await send({"type": "http.response.start", "status": answer.status, "headers": headers})
                started = True
                async for chunk in answer.content.iter_chunked(CHUNK):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except (aiohttp.ClientError, OSError, TimeoutError):
            if started:
                raise
            await send(
                {"type": "http.response.start", "status": 502, "headers": [(b"content-type", b"text/plain")]}
            )
            await send({"type": "http.response.body", "body": _NOT_REACHED})

    async def websocket(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        import aiohttp

        await receive()  # websocket.connect
        try:
            theirs = await self._client().ws_connect(
                _url("ws", target),
                headers=[(name, value) for name, value in _pairs(target) if name.encode() not in _SOCKET_OWN],
                protocols=tuple(scope.get("subprotocols", ())),
                max_msg_size=0,
            )
        except (aiohttp.ClientError, OSError, TimeoutError):
            await send({"type": "websocket.close", "code": 1013})
            return
        await send({"type": "websocket.accept", "subprotocol": theirs.protocol, "headers": []})
        async with Tasks() as tasks:
            tasks.spawn(_to_app(receive, theirs), name="socket-to-app")
            await _from_app(theirs, send)
        await theirs.close()

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._session


async def _to_app(receive: Receive, theirs: aiohttp.ClientWebSocketResponse) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        if message.get("text") is not None:
            await theirs.send_str(message["text"])
        elif message.get("bytes") is not None:
            await theirs.send_bytes(message["bytes"])
    await theirs.close(code=_sendable(message.get("code", 1000)))


async def _from_app(theirs: aiohttp.ClientWebSocketResponse, send: Send) -> None:
    async for message in theirs:
        key = "bytes" if isinstance(message.data, bytes) else "text"
        await send({"type": "websocket.send", key: message.data})
    with contextlib.suppress(RuntimeError):  # the other side has closed before
        await send({"type": "websocket.close", "code": _sendable(theirs.close_code)})


def _sendable(code: int | None) -> int:
    """1005 and 1006 describe a close and must not be sent (RFC 6455, section 7.4.1)."""
    return code if code is not None and code not in {1005, 1006, 1015} else 1000


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the sender went away")
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


def _pairs(target: Target) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in target.headers]


def _url(scheme: str, target: Target) -> Any:
    import yarl

    return yarl.URL(f"{scheme}://127.0.0.1:{target.port}{target.path}", encoded=True)
