"""The words of the page: a visit (one request), an answer, and a row of the page table.

Made by `service`, read by the files in `pages`. A row names the right that a visit needs before its handler runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from wayhouse.access.model import Identity
from wayhouse.access.policy import Right, permits
from wayhouse.base.errors import UnauthenticatedError

HTML = "text/html; charset=utf-8"
Owner = tuple[str, str] | None
Form = Mapping[str, list[str]]
Theme = Literal["auto", "light", "dark"]


class Answer(msgspec.Struct, frozen=True):
    body: bytes = b""
    status: int = 200
    media: str = HTML
    headers: tuple[tuple[str, str], ...] = ()

    def with_header(self, name: str, value: str) -> Answer:
        return msgspec.structs.replace(self, headers=(*self.headers, (name, value)))


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a browser. `form` is the decoded body of a POST; `is_part` says that htmx asks for a fragment;
    `host` is the name the browser uses for this machine, without a port."""

    identity: Identity | None
    method: str
    url: str
    path: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    form: Form = {}
    client: str = ""
    host: str = "127.0.0.1"
    token: str | None = None
    theme: Theme = "auto"
    is_part: bool = False
    is_tls: bool = False

    @property
    def who(self) -> Identity:
        """Raises `UnauthenticatedError` where nobody is signed in."""
        if self.identity is None:
            raise UnauthenticatedError("Sign in first.")
        return self.identity

    def may(self, right: Right, chute: str | None = None, owner: Owner = None) -> bool:
        return permits(right, self.identity, chute=chute, chute_owner=owner)

    @property
    def is_admin(self) -> bool:
        return self.may(Right.ADMINISTER)

    @property
    def sees_changes(self) -> bool:
        return self.may(Right.SEE_CHANGES)

    @property
    def sees_devices(self) -> bool:
        return self.may(Right.SEE_DEVICES)

    @property
    def commands_devices(self) -> bool:
        return self.may(Right.COMMAND_DEVICES)

    @property
    def changes_devices(self) -> bool:
        return self.may(Right.CHANGE_DEVICES)

    @property
    def automates(self) -> bool:
        return self.may(Right.AUTOMATE)

    @property
    def sees_overlays(self) -> bool:
        return self.may(Right.SEE_OVERLAYS)

    @property
    def changes_overlays(self) -> bool:
        return self.may(Right.CHANGE_OVERLAYS)

    def field(self, name: str, default: str = "") -> str:
        """The last value of a form field."""
        values = self.form.get(name)
        return values[-1] if values else default


Handler = Callable[[Visit], Awaitable[Answer]]


class Page(msgspec.Struct, frozen=True):
    """A row. With `{name}` in its path the right is demanded for the chute of that name. `is_audited`: the audit log gets
    a line for it (the access room writes its own)."""

    method: Literal["GET", "POST"]
    path: str
    right: Right
    handler: Handler
    is_audited: bool = False


def redirect(place: str, *headers: tuple[str, str]) -> Answer:
    """See other (303): the browser goes on with a GET."""
    return Answer(b"", 303, "text/plain", (("location", place), *headers))


def plain_json(body: Any) -> Answer:
    return Answer(msgspec.json.encode(body), media="application/json")


def app_path(name: str, rest: str = "") -> str:
    return f"/apps/{quote(name, safe='')}{rest}"


def device_path(device_id: str, rest: str = "") -> str:
    return f"/devices/{quote(device_id, safe='')}{rest}"


def job_path(name: str, rest: str = "") -> str:
    return f"/jobs/{quote(name, safe='')}{rest}"


def scenario_path(name: str, rest: str = "") -> str:
    return f"/scenarios/{quote(name, safe='')}{rest}"


def overlay_path(name: str, rest: str = "") -> str:
    return f"/overlay/{quote(name, safe='')}{rest}"


def page_number(text: str | None) -> int:
    """From a query; 1 for what is no number."""
    return (
        int(text[:9]) if text is not None and text.isascii() and text.isdigit() and int(text[:9]) > 0 else 1
    )


def local_path(text: str | None) -> str:
    """`text` if it is a path on this gateway, else "/": nobody can send a user elsewhere through the sign-in page."""
    if not text or not text.startswith("/") or text.startswith("//") or len(text) > 2000:
        return "/"
    if "\\" in text or any(not " " < letter < "\x7f" for letter in text):
        return "/"
    return text
