"""A small browser for tests: speaks ASGI to an application in this process and keeps cookies."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit


class Reply:
    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> None:
        self.status_code = status
        self.headers = {name.decode(): value.decode("latin-1") for name, value in headers}
        self.content = content

    @property
    def text(self) -> str:
        return self.content.decode("utf-8")

    def json(self) -> Any:
        return json.loads(self.content)


class Browser:
    """`headers` go with every request. Redirects are not followed."""

    def __init__(self, app: Any, origin: str, headers: dict[str, str]) -> None:
        self._app = app
        self._origin = origin
        self._headers = headers
        self.cookies: dict[str, str] = {}

    async def get(self, url: str, **more: Any) -> Reply:
        return await self._send("GET", url, **more)

    async def head(self, url: str, **more: Any) -> Reply:
        return await self._send("HEAD", url, **more)

    async def delete(self, url: str, **more: Any) -> Reply:
        return await self._send("DELETE", url, **more)

    async def post(self, url: str, **more: Any) -> Reply:
        return await self._send("POST", url, **more)

    async def _send(
        self,
        method: str,
        url: str,
        *,
        data: dict[str, Any] | None = None,
        json: Any = None,
        content: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        sent = {"host": urlsplit(self._origin).netloc, **self._headers, **(headers or {})}
        if self.cookies and "cookie" not in sent:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if data is not None:
            content = urlencode(data, doseq=True).encode()
            sent["content-type"] = "application/x-www-form-urlencoded"
        if json is not None:
            content = _json(json)
            sent["content-type"] = "application/json"
        parts = urlsplit(url)
        scope = {
            "type": "http",
            "method": method,
            "scheme": parts.scheme or "http",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "client": ("192.0.2.7", 1234),
        }
        if parts.netloc:
            scope["headers"] = [(b"host", parts.netloc.encode()), *scope["headers"][1:]]
        reply = await exchange(self._app, scope, content)
        self._keep(reply)
        return reply

    def _keep(self, reply: Reply) -> None:
        for name, morsel in SimpleCookie(reply.headers.get("set-cookie", "")).items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


async def exchange(app: Callable[..., Awaitable[None]], scope: dict[str, Any], content: bytes) -> Reply:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Reply(sent[0]["status"], sent[0]["headers"], body)
