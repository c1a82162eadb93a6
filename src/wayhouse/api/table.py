"""The shape of the endpoint table: one row says method, path, who may, what goes in and what comes out.

Rows are declared beside their handlers (one file for each resource) and gathered in `api.endpoints`. Routes, OpenAPI,
the typed client and the rights check are all made from them; nothing about an endpoint is said twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import msgspec

from wayhouse.access.model import Identity
from wayhouse.access.policy import Right
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, UnauthenticatedError

Method = Literal["GET", "POST", "PUT", "DELETE", "PATCH"]
ReplyT = TypeVar("ReplyT")
BodyT = TypeVar("BodyT")

TAR = "application/x-tar"
JSON = "application/json"
MOST = 2**63 - 1
"""The largest number the database can look for."""


class Reply(msgspec.Struct, frozen=True):
    """An answer that is more than a body with status 200. `body` is encoded as JSON unless it is bytes."""

    body: Any = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    media: str = JSON


class Call:
    """One request on its way to a handler: who asks, with which parts of the path and the query, and the body.

    `chunks` is the raw body where a row takes archives and one was sent, else None.
    """

    __slots__ = ("_body", "chunks", "client", "headers", "identity", "method", "path", "raw_query", "scheme")

    def __init__(
        self,
        *,
        identity: Identity | None,
        method: str,
        path: Mapping[str, str],
        raw_query: str,
        headers: Mapping[str, str],
        client: str,
        scheme: str,
    ) -> None:
        self.identity = identity
        self.method = method
        self.path = path
        self.raw_query = raw_query
        self.headers = headers
        self.client = client
        self.scheme = scheme
        self.chunks: AsyncIterator[bytes] | None = None
        self._body: Any = None

    @property
    def who(self) -> Identity:
        """The identity, where the table demands one."""
        if self.identity is None:
            raise UnauthenticatedError("Sign in first.")
        return self.identity

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded; of a name that is given twice, the last."""
        return dict(parse_qsl(self.raw_query, keep_blank_values=True))

    def set_body(self, body: object) -> None:
        self._body = body

    def body(self, kind: type[BodyT]) -> BodyT:
        """The decoded body; `kind` is what the table row says."""
        if not isinstance(self._body, kind):
            raise BadInputError("Send a JSON body.")
        return self._body

    def optional_body(self, kind: type[BodyT]) -> BodyT | None:
        return self._body if isinstance(self._body, kind) else None

    def number(self, name: str) -> int:
        """A part of the path that must be a number."""
        return _number(name, self.path[name], MOST)

    def query_number(self, name: str, default: int | None = None, *, most: int = 1_000_000_000) -> int | None:
        text = self.query.get(name)
        return default if text is None else _number(name, text, most)


def _number(name: str, text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(most)) or int(text) > most:
        raise BadInputError(f"`{name}` must be a number from 0 to {most}.", path=name)
    return int(text)


Handler = Callable[[Any, Call], Awaitable[Any]]


class Endpoint(msgspec.Struct, Generic[ReplyT], frozen=True, kw_only=True):
    """One row. `handler` is an unbound method of a resource class; `path` has its variables in braces.

    `body` is the JSON body's type (None: no body); `optional_body`: what cannot be read is ignored, as old clients rely
    on; `archive`: a tar body is taken as well; `raw`: any body is, as it is. `audited`: the HTTP side writes the audit log's
    line for it. `query` names the query parameters, with what they mean.
    """

    method: Method
    path: str
    right: Right
    summary: str
    handler: Handler
    reply: type[ReplyT]
    body: Any = None
    optional_body: bool = False
    archive: bool = False
    query: dict[str, str] = {}
    status: int = 200
    reply_media: str = JSON
    audited: bool = True
    raw: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


class Frame(NamedTuple):
    """A frame and the cursor to come back with for what follows it. Without a text (None) it only tells the cursor."""

    text: str | None
    cursor: str


Frames = AsyncIterator[str | bytes | Frame]
Opener = Callable[[Any, Call, "Incoming"], Awaitable[Frames]]


class Incoming(msgspec.Struct, frozen=True):
    """What the other side of a channel sends: text frames, or nothing ever (`is_deaf`) on an SSE stream.

    `resume` is the cursor of the last frame that it has had before, None if it begins.
    """

    frames: AsyncIterator[str]
    is_deaf: bool = False
    resume: str | None = None


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """A stream: a WebSocket, and under the same path server-sent events for `Accept: text/event-stream`.

    `opener` raises before anything is accepted (so the refusal is plain HTTP) or returns the frames to send. A channel
    that `resumes` sends cursors with its frames and goes on after the one that a client comes back with; the others are
    live only, and whoever comes back subscribes again. Where every frame says all that there is (`tells_all`), a client that
    comes back has missed nothing.
    """

    path: str
    right: Right
    summary: str
    opener: Opener
    frame: Any = str
    also: tuple[str, ...] = ()
    resumes: bool = False
    tells_all: bool = False


def endpoint(
    method: Method,
    path: str,
    right: Right,
    summary: str,
    handler: Handler,
    *,
    reply: type[ReplyT],
    body: Any = None,
    **more: Any,
) -> Endpoint[ReplyT]:
    """A row whose type of answer the type checker knows, so that the client's calls are typed."""
    return Endpoint(
        method=method,
        path=path,
        right=right,
        summary=summary,
        handler=handler,
        reply=reply,
        body=body,
        **more,
    )


def decode_reply(row: Endpoint[ReplyT], data: bytes) -> ReplyT:
    return codec.decode_json(data, row.reply, what="answer")


Rows = Sequence[Endpoint[Any] | Channel]
