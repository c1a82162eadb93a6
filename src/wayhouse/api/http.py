"""The HTTP and WebSocket side of the table, as an ASGI application.

A request is matched to a row, its sender identified, the row's right demanded, its body decoded, and only then the
handler runs. What is not in the table goes to `otherwise` (the web page).
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any, Protocol

import msgspec

from wayhouse.access.model import Identity
from wayhouse.access.policy import Right, demand
from wayhouse.api import bodies, problems
from wayhouse.api.cors import Cors
from wayhouse.api.origin import demand_same_origin
from wayhouse.api.routes import Routes
from wayhouse.api.streams import refuse, serve_events, serve_socket
from wayhouse.api.table import Call, Channel, Endpoint, Frames, Incoming, Reply, Rows
from wayhouse.base import codec
from wayhouse.base.errors import MethodNotAllowedError, NotFoundError
from wayhouse.base.metrics import Metrics

log = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SESSION_COOKIE = "wayhouse_session"
PEER = "unix:"
"""How a listener marks a sender whose user id the kernel has told: `unix:<uid>` in place of an address."""


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `[api]` of the settings. `cors_origins` may hold "*"."""

    cors_origins: list[str] = []
    max_body_bytes: int = 4 * 1024 * 1024


class Identify(Protocol):
    """What this needs of the access room."""

    async def authenticate(
        self, authorization: str | None, *, cookie_token: str | None = None, client: str = ""
    ) -> Identity: ...

    def identify_peer(self, uid: int) -> Identity | None: ...


Audit = Callable[[Identity, str, str, str, str], None]
"""Called with who, what (the row's name), on what (the path), the client and the outcome of each call that changes."""


class _Bound(msgspec.Struct, frozen=True):
    row: Endpoint[Any] | Channel
    run: Callable[..., Awaitable[Any]]


class Api:
    """`resources` are the objects whose methods the rows name; `owner_of` tells who owns a chute, for the rights."""

    def __init__(
        self,
        rows: Rows,
        resources: Iterable[object],
        *,
        access: Identify,
        audit: Audit,
        owner_of: Callable[[str], tuple[str, str] | None],
        settings: ApiSettings,
        metrics: Metrics,
        otherwise: App,
    ) -> None:
        self._access = access
        self._audit = audit
        self._owner_of = owner_of
        self._settings = settings
        self._cors = Cors(settings.cors_origins)
        self._otherwise = otherwise
        self._requests = metrics.counter(
            "wayhouse_http_requests_total", "Requests answered, by row and status."
        )
        self._routes: Routes[_Bound] = Routes()
        methods = _methods_of(resources)
        for row in rows:
            self._add(row, methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        values, path = self._routes.find(scope.get("raw_path", b"").decode("latin-1") or scope["path"])
        if scope["type"] == "websocket":
            await self._socket(values.get("WEBSOCKET"), path, scope, receive, send)
        elif not values:
            await self._otherwise(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(values, path, scope, receive, send)

    async def _http(
        self, values: dict[str, _Bound], path: dict[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        headers = _headers(scope)
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        bound = values.get(method)
        if bound is None:
            if "WEBSOCKET" in values and scope["method"] == "GET":
                await self._events(values["WEBSOCKET"], path, headers, scope, receive, send)
            else:
                await self._no_such_method(values, headers, scope, send)
            return
        assert isinstance(bound.row, Endpoint)  # noqa: S101 - channels are stored under WEBSOCKET
        reply = await self._answer(bound, bound.row, path, headers, scope, receive)
        self._requests.inc(row=bound.row.path, method=method, status=str(reply.status))
        await _send_reply(reply, self._cors.headers(headers), send, is_head=scope["method"] == "HEAD")

    async def _answer(
        self,
        bound: _Bound,
        row: Endpoint[Any],
        path: dict[str, str],
        headers: dict[str, str],
        scope: Scope,
        receive: Receive,
    ) -> Reply:
        identity: Identity | None = None
        outcome = "unfinished"
        try:
            identity = await self._identify(row.right, headers, scope)
            self._demand(row.right, identity, path)
            call = self._call(identity, path, headers, scope)
            await self._take_body(row, call, headers, receive)
            result = await bound.run(call)
            reply = _encoded(result if isinstance(result, Reply) else Reply(result, row.status))
            outcome = "ok"
        except Exception as error:  # noqa: BLE001 - the endpoint is one of the four borders
            outcome = str(getattr(error, "code", "unforeseen"))
            reply = _encoded(problems.reply_for(error, challenge="hx-request" not in headers))
        finally:
            if row.audited and row.method != "GET" and identity is not None:
                self._audit(identity, row.name, scope["path"], _client(scope), outcome)
        return reply

    async def _take_body(
        self, row: Endpoint[Any], call: Call, headers: dict[str, str], receive: Receive
    ) -> None:
        if row.raw or (row.archive and bodies.is_archive(headers)):
            call.chunks = bodies.chunks(receive)
        elif row.body is not None:
            call.set_body(await bodies.read_body(row, headers, receive, most=self._settings.max_body_bytes))

    async def _identify(self, right: Right, headers: dict[str, str], scope: Scope) -> Identity | None:
        """The sender; None only where nobody needs to be known, or for a stranger on the gateway's own socket."""
        if right is Right.OPEN:
            return None
        authorization = headers.get("authorization")
        client = _client(scope)
        if authorization is None and client.startswith(PEER):
            return self._access.identify_peer(int(client.removeprefix(PEER)))
        cookie = session_cookie(headers)
        identity = await self._access.authenticate(authorization, cookie_token=cookie, client=client)
        if authorization is None and cookie is not None:
            demand_same_origin(scope, headers)
        return identity

    def _demand(self, right: Right, identity: Identity | None, path: dict[str, str]) -> None:
        chute = path.get("chute")
        demand(right, identity, chute=chute, chute_owner=self._owner_of(chute) if chute is not None else None)

    def _call(
        self, identity: Identity | None, path: dict[str, str], headers: dict[str, str], scope: Scope
    ) -> Call:
        return Call(
            identity=identity,
            method=scope.get("method", "GET"),
            path=path,
            raw_query=scope.get("query_string", b"").decode("latin-1"),
            headers=headers,
            client=_client(scope),
            scheme=scope.get("scheme", "http"),
        )

    async def _socket(
        self, bound: _Bound | None, path: dict[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        headers = _headers(scope)
        if bound is None:
            nothing = NotFoundError("There is no WebSocket at this address.")
            await refuse(problems.reply_for(nothing), scope, send)
            return

        async def open_frames(incoming: Incoming) -> Frames:
            return await self._open(bound, path, headers, scope, incoming)

        await serve_socket(open_frames, scope, receive, send)

    async def _events(
        self,
        bound: _Bound,
        path: dict[str, str],
        headers: dict[str, str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        async def open_frames(incoming: Incoming) -> Frames:
            return await self._open(bound, path, headers, scope, incoming)

        await serve_events(open_frames, scope, self._cors.headers(headers), receive, send)

    async def _open(
        self, bound: _Bound, path: dict[str, str], headers: dict[str, str], scope: Scope, incoming: Incoming
    ) -> Frames:
        identity = await self._identify(bound.row.right, headers, scope)
        self._demand(bound.row.right, identity, path)
        frames: Frames = await bound.run(self._call(identity, path, headers, scope), incoming)
        return frames

    async def _no_such_method(
        self, values: dict[str, _Bound], headers: dict[str, str], scope: Scope, send: Send
    ) -> None:
        allowed = _allowed(values)
        cors = self._cors.headers(headers)
        if scope["method"] == "OPTIONS":
            await _send_reply(Reply(None, 204, (("allow", allowed),)), cors, send)
            return
        reply = problems.reply_for(
            MethodNotAllowedError(f"{scope['method']} is not possible here; possible: {allowed}.")
        )
        more = (("allow", allowed), *cors)
        await _send_reply(_encoded(reply), more, send, is_head=scope["method"] == "HEAD")

    def _add(self, row: Endpoint[Any] | Channel, methods: dict[Any, Callable[..., Any]]) -> None:
        if isinstance(row, Channel):
            for path in (row.path, *row.also):
                self._routes.add("WEBSOCKET", path, _Bound(row, methods[row.opener]))
        else:
            self._routes.add(row.method, row.path, _Bound(row, methods[row.handler]))


def _allowed(values: Iterable[str]) -> str:
    """The methods of a path for the header `Allow`; a stream is had with GET as well."""
    methods = {"GET" if method == "WEBSOCKET" else method for method in values}
    return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in values else set())))


def session_cookie(headers: dict[str, str]) -> str | None:
    text = headers.get("cookie")
    if not text or SESSION_COOKIE not in text:
        return None
    try:
        morsel = SimpleCookie(text).get(SESSION_COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel is not None else None


def _methods_of(resources: Iterable[object]) -> dict[Any, Callable[..., Any]]:
    """Each function of each resource's class, bound to the resource."""
    return {
        function: functools.partial(function, resource)
        for resource in resources
        for kind in type(resource).__mro__
        for function in vars(kind).values()
        if callable(function)
    }


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _encoded(reply: Reply) -> Reply:
    """With the body as bytes. What cannot be encoded raises here, inside the border, and not while it is sent."""
    if isinstance(reply.body, bytes):
        return reply
    body = b"" if reply.status == 204 else codec.encode_json(reply.body)
    return Reply(body, reply.status, reply.headers, reply.media)


async def _send_reply(
    reply: Reply, more: Iterable[tuple[str, str]], send: Send, *, is_head: bool = False
) -> None:
    body = reply.body or b""
    headers = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
    if reply.status != 204:  # which has neither (RFC 9110, section 8.6)
        headers.append((b"content-length", str(len(body)).encode()))
        headers.append((b"content-type", reply.media.encode("latin-1")))
    headers.extend(
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in (*reply.headers, *more)
    )
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else body})
