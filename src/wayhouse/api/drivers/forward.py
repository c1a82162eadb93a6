"""Forwards requests and WebSockets to an app's port on this machine, through aiohttp (loaded on first use)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from wayhouse.api.apps import Target, end_to_end
from wayhouse.api.standing import TUNNEL
from wayhouse.base.tasks import Tasks

if TYPE_CHECKING:
    import aiohttp

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

CHUNK = 64 * 1024
CONNECT_S = 10.0
MAX_HEADER = 64 * 1024
MAX_MESSAGE = 16 * 1024 * 1024
"""Of an app's WebSocket, since a message is held in memory until it is whole."""
_NOT_REACHED = b"The app does not answer.\n"
_SOCKET_OWN = {
    b"sec-websocket-key",
    b"sec-websocket-version",
    b"sec-websocket-extensions",
    b"sec-websocket-protocol",
    b"content-length",
}


class HttpForward:
    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def http(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request and its answer, until either side leaves. An app that cannot be reached is a 502."""
        body = _Body(scope, receive)
        async with Tasks() as tasks:
            passing = tasks.spawn(self._exchange(target, scope, body, send), name="forward")
            leaving = tasks.spawn(body.client_leaves(), name="forward-client")
            await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)

    async def websocket(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        import aiohttp

        await receive()  # websocket.connect
        try:
            async with asyncio.timeout(CONNECT_S):
                theirs = await self._connect(target, scope)
        except aiohttp.WSServerHandshakeError as error:
            await _refuse(scope, send, error.status if error.status >= 400 else 502)
            return
        except (aiohttp.ClientError, OSError, TimeoutError):
            await _refuse(scope, send, 502)
            return
        try:
            await send({"type": "websocket.accept", "subprotocol": theirs.protocol, "headers": []})
            async with Tasks() as tasks:
                to_app = tasks.spawn(_to_app(receive, theirs), name="socket-to-app")
                from_app = tasks.spawn(_from_app(theirs, send), name="socket-from-app")
                await asyncio.wait({to_app, from_app}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await theirs.close()

    async def _exchange(self, target: Target, scope: Scope, body: _Body, send: Send) -> None:
        import aiohttp

        started = False
        try:
            async with self._client().request(
                scope["method"],
                _url("http", target),
                headers=_pairs(target),
                data=body.chunks() if body.is_sent else None,
                allow_redirects=False,
            ) as answer:
                headers = end_to_end(answer.raw_headers)
                if answer.status in {204, 304}:  # where a length describes a body that does not come
                    headers = [pair for pair in headers if pair[0] != b"content-length"]
                if answer.content_type == "text/event-stream":
                    scope[TUNNEL] = True
                await send({"type": "http.response.start", "status": answer.status, "headers": headers})
                started = True
                async for chunk in answer.content.iter_chunked(CHUNK):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except (aiohttp.ClientError, OSError, TimeoutError):
            if (
                not started
            ):  # else the server cuts the connection, which tells the client that this was not all
                await _answer(send, 502, "http")

    async def _connect(self, target: Target, scope: Scope) -> aiohttp.ClientWebSocketResponse:
        import aiohttp

        own = {name.decode() for name in _SOCKET_OWN}
        return await self._client().ws_connect(
            _url("ws", target),
            headers=[(name, value) for name, value in _pairs(target) if name not in own],
            protocols=tuple(scope.get("subprotocols", ())),
            max_msg_size=MAX_MESSAGE,
            timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
        )

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                max_line_size=MAX_HEADER,
                max_field_size=MAX_HEADER,
            )
        return self._session


class _Body:
    """A request's body on its way to the app; when all of it has come, what is left to hear is that the client leaves."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._all_here = asyncio.Event()
        self.is_sent = any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])
        if not self.is_sent:
            self._all_here.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError("the sender went away")
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body"):
                self._all_here.set()
                return

    async def client_leaves(self) -> None:
        await self._all_here.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _to_app(receive: Receive, theirs: aiohttp.ClientWebSocketResponse) -> None:
    with contextlib.suppress(OSError):  # the app is gone, which `_from_app` sees as well
        while (message := await receive())["type"] != "websocket.disconnect":
            if message.get("text") is not None:
                await theirs.send_str(message["text"])
            elif message.get("bytes") is not None:
                await theirs.send_bytes(message["bytes"])
        reason = (message.get("reason") or "").encode()
        await theirs.close(code=_sendable(message.get("code")), message=reason)


async def _from_app(theirs: aiohttp.ClientWebSocketResponse, send: Send) -> None:
    from aiohttp import WSMsgType

    with contextlib.suppress(OSError, RuntimeError):  # the client is gone or has closed before
        while True:
            message = await theirs.receive()
            if message.type is WSMsgType.TEXT:
                await send({"type": "websocket.send", "text": message.data})
            elif message.type is WSMsgType.BINARY:
                await send({"type": "websocket.send", "bytes": message.data})
            else:
                break
        reason = message.extra if message.type is WSMsgType.CLOSE else ""
        await send({"type": "websocket.close", "code": _sendable(theirs.close_code), "reason": reason or ""})


def _sendable(code: int | None) -> int:
    """A close without a code is a normal one. What must not be sent (RFC 6455, section 7.4) becomes "internal error"."""
    if code is None or code == 1005:
        return 1000
    known = code in {1000, 1001, 1002, 1003} or 1007 <= code <= 1014 or 3000 <= code <= 4999
    return code if known else 1011


async def _refuse(scope: Scope, send: Send, status: int) -> None:
    """Answer a handshake as the app did."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await _answer(send, status, "websocket.http")
    else:
        await send({"type": "websocket.close", "code": 1013})


async def _answer(send: Send, status: int, prefix: str) -> None:
    body = _NOT_REACHED if status == 502 else b""
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{prefix}.response.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}.response.body", "body": body})


def _pairs(target: Target) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), _text(value)) for name, value in target.headers]


def _text(value: bytes) -> str:
    """aiohttp sends header values as UTF-8, so bytes that are UTF-8 already must not be encoded a second time."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _url(scheme: str, target: Target) -> Any:
    import yarl

    return yarl.URL(f"{scheme}://127.0.0.1:{target.port}{target.path}", encoded=True)
