"""Web access to apps through the gateway's own port (ParaDrop's haproxy), as an ASGI application around the API.

By host name (`<chute>.<domain>`) requests and WebSockets are passed on. Under `/chutes/<chute>/...` a browser is sent to
the app's own port: an app must not share an origin with the gateway's page, whose session it could use. WebSockets, which
cannot follow a redirect and know no such sharing, are passed on there too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from wayhouse.api.http import SESSION_COOKIE

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX = "/chutes/"
_HOP = {
    b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
    b"transfer-encoding", b"upgrade",
}  # fmt: skip
_OURS = {b"cookie", b"expect", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"}
"""Of a request's headers those that the gateway answers or writes itself."""


class WebSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `[web]` of the settings. An app `hello` answers as `hello.<domain>` for each of `domains`."""

    domains: tuple[str, ...] = ("chute.paradrop.org", "chute.localhost")


class Forward(Protocol):
    """Passes a request or a WebSocket on to a port of this machine."""

    async def http(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None: ...

    async def websocket(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None: ...


class Target(NamedTuple):
    """`path` is the app's, percent-encoded, with the query."""

    port: int
    path: str
    headers: list[tuple[bytes, bytes]]


class Apps:
    """`web_port` gives the host port of a running chute's page; None: no such chute, stopped, or without a page."""

    def __init__(
        self,
        web_port: Callable[[str], int | None],
        settings: WebSettings,
        forward: Forward,
        otherwise: App,
    ) -> None:
        self._web_port = web_port
        self._suffixes = tuple("." + domain.lower() for domain in settings.domains)
        self._forward = forward
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._otherwise(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = self._by_host(host)
        if name is not None:
            await self._pass_on(name, _raw_path(scope), scope, receive, send)
        elif scope["path"].startswith(PREFIX):
            await self._by_path(host, scope, receive, send)
        else:
            await self._otherwise(scope, receive, send)

    def _by_host(self, host: str) -> str | None:
        bare = host.partition(":")[0]
        for suffix in self._suffixes:
            if bare.endswith(suffix):
                return bare.removesuffix(suffix)
        return None

    async def _by_path(self, host: str, scope: Scope, receive: Receive, send: Send) -> None:
        name, _, rest = _raw_path(scope).removeprefix(PREFIX).partition("/")
        port = self._web_port(name)
        if port is None or scope["type"] == "websocket":
            await self._pass_on(name, "/" + rest, _without_credentials(scope), receive, send)
            return
        query = scope.get("query_string", b"").decode("latin-1")
        bare = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        place = f"http://{bare or '127.0.0.1'}:{port}/{rest}" + (f"?{query}" if query else "")
        status = 302 if scope["method"] in {"GET", "HEAD"} else 307  # which keeps the method and the body
        await _answer(send, status, b"", ((b"location", place.encode("latin-1")),))

    async def _pass_on(self, name: str, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        port = self._web_port(name)
        if port is None:
            await _refuse(scope, send, name)
            return
        query = scope.get("query_string", b"").decode("latin-1")
        target = Target(port, path + (f"?{query}" if query else ""), forwarded_headers(scope))
        if scope["type"] == "websocket":
            await self._forward.websocket(target, scope, receive, send)
        else:
            await self._forward.http(target, scope, receive, send)


def forwarded_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The request's headers for the app: without those of the hop and our own cookie, with who asked and how.

    `Host` is kept, since apps compare it with `Origin`.
    """
    headers = dict(scope["headers"])
    left_out = _of_the_hop(scope["headers"]) | _OURS
    kept = [(name, value) for name, value in scope["headers"] if name not in left_out]
    cookies = _other_cookies(headers)
    if cookies:
        kept.append((b"cookie", cookies))
    client = scope["client"][0] if scope.get("client") else ""
    kept.extend(
        (
            (b"x-forwarded-for", str(client).encode("latin-1")),
            (b"x-forwarded-proto", _http_scheme(scope).encode()),
            (b"x-forwarded-host", headers.get(b"host", b"")),
        )
    )
    return kept


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """An answer's headers without those that belong to the hop; the length is kept, since the body is not changed."""
    lower = [(name.lower(), value) for name, value in headers]
    left_out = _of_the_hop(lower)
    return [(name, value) for name, value in lower if name not in left_out]


def _of_the_hop(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """Names of the headers that end here: the known ones and those that `Connection` names (RFC 9110, section 7.6.1)."""
    named = (value.lower().split(b",") for name, value in headers if name == b"connection")
    return _HOP | {part.strip() for parts in named for part in parts}


def _without_credentials(scope: Scope) -> Scope:
    """Under the gateway's own name `Authorization` is meant for the gateway, and no app may see it."""
    return {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"authorization"]}


def _other_cookies(headers: Mapping[bytes, bytes]) -> bytes:
    ours = SESSION_COOKIE.encode()
    parts = [part.strip() for part in headers.get(b"cookie", b"").split(b";")]
    return b"; ".join(part for part in parts if part and part.partition(b"=")[0].strip() != ours)


def _raw_path(scope: Scope) -> str:
    raw = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1").partition("?")[0] or "/"


async def _refuse(scope: Scope, send: Send, name: str) -> None:
    text = f"There is no running app called {name[:80]} with a page here.\n".encode()
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        await _answer(send, 404, text, (), "websocket.http")
    else:
        await _answer(send, 404, text, ())


async def _answer(
    send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...], prefix: str = "http"
) -> None:
    fixed = ((b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()))
    await send({"type": f"{prefix}.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": f"{prefix}.response.body", "body": body})


def _http_scheme(scope: Scope) -> str:
    return "https" if scope["scheme"] in {"https", "wss"} else "http"
