"""How far one stream is: the cursor it has reached, and what its client has said that was not answered yet.

Made for each stream when `api.streams` serves it, and kept in the scope, so that a connection can hand the stream to another
process; there it is made by the connection, and the stream is opened anew from it. It is a record of the past: what is in it has
been written to the connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from wayhouse.base.errors import BadInputError

KEY = "wayhouse.standing"
"""Under this name it is in the scope, where a connection that moves finds it or puts it."""
TUNNEL = "wayhouse.tunnel"
"""Set in the scope of a request whose answer, of an app, has no end."""
WAITING_FRAMES = 100
MOST_CURSOR = 16 * 1024


class Standing:
    """`taken_over`: another process has begun this stream, so its client has had the head, and all up to `cursor`."""

    def __init__(
        self, cursor: str | None = None, said: Iterable[str] = (), *, taken_over: bool = False
    ) -> None:
        self.cursor = cursor
        self.taken_over = taken_over
        self.is_stream = False
        """Whether the frames are ours to open again; a WebSocket that is passed on to an app is not."""
        self._said: deque[str] = deque(said)
        self._more = asyncio.Event()

    def open(self) -> None:
        self.is_stream = True

    def passed(self, cursor: str | None) -> None:
        """A frame was written. None: it has no cursor."""
        if cursor is not None:
            self.cursor = cursor

    def hear(self, text: str) -> None:
        """What nobody wants to hear is dropped once it is too much."""
        if len(self._said) < WAITING_FRAMES:
            self._said.append(text)
            self._more.set()

    async def heard(self) -> AsyncIterator[str]:
        """What the client says; a text counts as answered when the next one is asked for."""
        while True:
            while not self._said:
                self._more.clear()
                await self._more.wait()
            yield self._said[0]
            self._said.popleft()

    @property
    def unanswered(self) -> list[str]:
        return list(self._said)

    def resume(self, scope: Mapping[str, Any]) -> str | None:
        """The cursor to go on after: of the process before, else the one that the client asks for, in the header as an
        EventSource does or in the query. Raises `BadInputError`."""
        if self.taken_over:
            return self.cursor
        found = dict(scope["headers"]).get(b"last-event-id", b"").decode("latin-1") or _in_query(scope)
        if len(found) > MOST_CURSOR:
            raise BadInputError("A cursor is not as long as that.", path="resume")
        return found or None


def standing_of(scope: MutableMapping[str, Any]) -> Standing:
    found: Standing = scope.setdefault(KEY, Standing())
    return found


def _in_query(scope: Mapping[str, Any]) -> str:
    query = scope.get("query_string", b"").decode("latin-1")
    return dict(parse_qsl(query)).get("resume", "") if "resume" in query else ""
