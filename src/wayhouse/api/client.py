"""The typed client: every call is a row of the endpoint table, so paths, bodies and answers are said only there.

Synchronous, over the standard library, so that commands start fast; used by the `cli` room and by tests. One connection
for each call. No request is ever sent twice.
"""

from __future__ import annotations

import contextlib
import http.client
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any
from urllib.parse import quote, urlencode

import msgspec

from wayhouse import __version__
from wayhouse.api.client_errors import ProblemError, StrangeAnswerError, UnreachableError
from wayhouse.api.client_events import Event, events
from wayhouse.api.client_grace import GRACE_S, Grace
from wayhouse.api.client_transport import Place, Trust, connect, reaching
from wayhouse.api.table import JSON, TAR, Channel, Endpoint, ReplyT, decode_reply
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError

ANSWER_S = 60.0
UPLOAD_ANSWER_S = 900.0
"""The gateway unpacks and checks an archive before it answers."""
SILENCE_S = 60.0
"""Streams say `still here` every 15 seconds."""
CHUNK = 256 * 1024
MOST_ANSWER = 256 * 1024 * 1024
_VARIABLE = re.compile(r"\{(\w+)(\.\.\.)?\}")

Query = Mapping[str, str | int | None]
Body = bytes | IO[bytes] | Iterable[bytes]


class Client:
    """Talks to the gateway at `place` as whoever `token` stands for (None: nobody; on a UNIX socket, the own user)."""

    def __init__(
        self,
        place: Place,
        *,
        token: str | None = None,
        trust: Trust | None = None,
        answer_s: float = ANSWER_S,
        grace_s: float = GRACE_S,
    ) -> None:
        self.place = place
        self._token = token
        self._trust = trust or Trust()
        self._answer_s = answer_s
        self._grace_s = grace_s

    def __repr__(self) -> str:
        return f"Client({self.place})"

    def call(
        self, row: Endpoint[ReplyT], *, body: Any = None, query: Query | None = None, **path: str | int
    ) -> ReplyT:
        """Ask for what `row` gives. `body` is of the row's type.

        Raises `ProblemError` when the gateway refuses, `UnreachableError`, `UntrustedError`, `StrangeAnswerError`.
        """
        data = b"" if body is None else codec.encode_json(body)
        headers = {} if body is None else {"Content-Type": JSON}
        with self._asking(
            row.method, target(row.path, path, query), headers, data, self._answer_s
        ) as response:
            return _decode(row, _read(response))

    def upload(
        self,
        row: Endpoint[ReplyT],
        source: Body,
        media: str = TAR,
        *,
        query: Query | None = None,
        **path: str | int,
    ) -> ReplyT:
        """Send an archive in chunks, never the whole of it in memory. Raises as `call` does."""
        headers = {"Content-Type": media}
        with self._asking(
            row.method, target(row.path, path, query), headers, _chunks(source), UPLOAD_ANSWER_S
        ) as response:
            return _decode(row, _read(response))

    def follow(
        self,
        channel: Channel,
        *,
        query: Query | None = None,
        lost: Callable[[float], None] = lambda _seconds: None,
        **path: str | int,
    ) -> Iterator[str]:
        """The frames of a stream until the gateway says that it is over, each of them once.

        A stream that `resumes` is taken up again where it was when the connection is lost, and one that `tells_all` from anew, since a
        gateway that is restarted or upgraded comes back soon. `lost` is told then, and for how long it is waited for at the most;
        `UnreachableError` is raised once it stays away, and at once for other streams. Raises as `call` does.
        """
        grace = Grace(self._grace_s if channel.resumes or channel.tells_all else 0.0, lost=lost)
        cursor: str | None = None
        where = target(channel.path, path, query)
        while True:
            try:
                for event in self._events(where, cursor, grace):
                    cursor = event.cursor or cursor
                    if event.data is not None:
                        yield event.data
            except (UnreachableError, ProblemError) as error:
                grace.wait(error)
            else:
                return

    def _events(self, where: str, cursor: str | None, grace: Grace) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", **({} if cursor is None else {"Last-Event-ID": cursor})}
        with self._asking("GET", where, headers, b"", SILENCE_S) as response:
            if not (response.getheader("Content-Type") or "").startswith("text/event-stream"):
                raise StrangeAnswerError(f"What answers at {self.place} does not stream.")
            grace.reached()
            yield from events(response)

    @contextlib.contextmanager
    def _asking(
        self, method: str, where: str, headers: dict[str, str], body: bytes | Iterator[bytes], wait_s: float
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer to one request, read while the connection is held. Raises `ProblemError` unless it is a success."""
        connection = connect(self.place, self._trust, wait_s=wait_s)
        with contextlib.closing(connection), reaching(self.place):
            _send(connection, method, where, {**self._headers(), **headers}, body)
            with connection.getresponse() as response:
                if not 200 <= response.status < 300:
                    raise _problem(response.status, _read(response), self.place)
                yield response

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": JSON, "User-Agent": f"wayhouse/{__version__}", "Connection": "close"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers


def target(path: str, values: Mapping[str, str | int], query: Query | None = None) -> str:
    """A row's path with its variables filled in and percent-encoded. Raises `TypeError` for a variable without value."""
    names = {match[1] for match in _VARIABLE.finditer(path)}
    if names != set(values):
        raise TypeError(f"{path} takes {sorted(names)}, not {sorted(values)}")

    def fill(match: re.Match[str]) -> str:
        value = str(values[match[1]])
        if match[2] is None and value in {"", ".", ".."}:
            raise BadInputError(f"`{value}` is no name.")
        return quote(value, safe="/" if match[2] else "")

    filled = _VARIABLE.sub(fill, path)
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{filled}?{urlencode(given)}" if given else filled


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    where: str,
    headers: dict[str, str],
    body: bytes | Iterator[bytes],
) -> None:
    """A gateway may refuse an upload and close before it has all of it: then its answer counts, not the broken pipe."""
    try:
        connection.request(method, where, body, headers, encode_chunked=not isinstance(body, bytes))
    except (BrokenPipeError, ConnectionResetError):
        if isinstance(body, bytes):
            raise


def _chunks(source: Body) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
    elif hasattr(source, "read"):
        while chunk := source.read(CHUNK):
            yield chunk
    else:
        yield from (chunk for chunk in source if chunk)


def _read(response: http.client.HTTPResponse) -> bytes:
    data = response.read(MOST_ANSWER + 1)
    if len(data) > MOST_ANSWER:
        raise StrangeAnswerError("The gateway's answer has no end.")
    if response.length:
        raise http.client.IncompleteRead(data, response.length)
    return data


def _decode(row: Endpoint[ReplyT], data: bytes) -> ReplyT:
    if row.reply is str and row.reply_media != JSON:
        return data.decode("utf-8", "replace")  # type: ignore[return-value]  # ReplyT is str here
    try:
        return decode_reply(row, data)
    except BadInputError as error:
        raise StrangeAnswerError(
            f"The gateway's answer to {row.name} cannot be understood; is it of another version? ({error.message})"
        ) from error


class _Told(msgspec.Struct, frozen=True):
    """The fields of a problem document that matter to a client; all may be missing."""

    detail: str = ""
    title: str = ""
    code: str = ""
    path: str | None = None


def _problem(status: int, data: bytes, place: Place) -> ProblemError:
    try:
        told = codec.decode_json(data, _Told)
    except BadInputError:
        told = _Told()
    message = told.detail or told.title or f"{place} answers {status} and does not say why."
    fields = {} if told.path is None else {"path": told.path}
    return ProblemError(message, status=status, code=told.code or f"http-{status}", fields=fields)
