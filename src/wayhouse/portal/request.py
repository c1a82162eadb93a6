"""Reads what a browser sends: from an ASGI scope and body to a `Visit`. All bad input is a `BadInputError`.

Forms are urlencoded only; archives go straight to the API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from wayhouse.access.model import Identity
from wayhouse.api import bodies
from wayhouse.base.errors import BadInputError, UnsupportedMediaError
from wayhouse.portal.model import Form, Theme, Visit

MAX_FORM_BYTES = 1024 * 1024
MAX_FIELDS = 5000
THEME_COOKIE = "wayhouse_theme"
FORM = "application/x-www-form-urlencoded"
_HOST = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9.-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def client_of(scope: Mapping[str, Any]) -> str:
    """The sender's address."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def visit_of(
    scope: Mapping[str, Any],
    headers: Mapping[str, str],
    path: Mapping[str, str],
    *,
    identity: Identity | None,
    token: str | None,
    form: Form | None = None,
) -> Visit:
    return Visit(
        identity=identity,
        method=scope["method"],
        url=url_of(scope),
        path=path,
        query=query_of(scope),
        form=form or {},
        client=client_of(scope),
        host=host_of(headers),
        token=token,
        theme=theme_of(headers),
        is_part="hx-request" in headers,
        is_tls=scope.get("scheme") == "https",
    )


def url_of(scope: Mapping[str, Any]) -> str:
    """The path with its query, as it was sent."""
    raw = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
    path: str = raw.decode("latin-1").partition("?")[0]
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}" if query else path


def query_of(scope: Mapping[str, Any]) -> dict[str, str]:
    text = scope.get("query_string", b"").decode("latin-1")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise BadInputError("This address has too many parameters.") from None


def host_of(headers: Mapping[str, str]) -> str:
    """The machine's name as the browser knows it, without the port; what cannot be a name is not repeated."""
    match = _HOST.fullmatch(headers.get("host", ""))
    return match.group(1) if match else "127.0.0.1"


def theme_of(headers: Mapping[str, str]) -> Theme:
    text = headers.get("cookie", "")
    if THEME_COOKIE not in text:
        return "auto"
    try:
        morsel = SimpleCookie(text).get(THEME_COOKIE)
    except CookieError:
        return "auto"
    return as_theme(morsel.value if morsel is not None else "")


def as_theme(text: str) -> Theme:
    if text == "light":
        return "light"
    return "dark" if text == "dark" else "auto"


async def read_form(headers: Mapping[str, str], receive: bodies.Receive) -> Form:
    """Raises `BadInputError`, `TooLargeError` or `UnsupportedMediaError`."""
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    data = await bodies.gather(bodies.chunks(receive), most=MAX_FORM_BYTES)
    if not data:
        return {}
    if media != FORM:
        raise UnsupportedMediaError("This page takes forms only; programs use the API under /api/v1.")
    try:
        return parse_qs(
            data.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"
        )
    except ValueError:
        raise BadInputError("The form cannot be read: too many fields, or text that is not UTF-8.") from None
