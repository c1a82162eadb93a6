"""Reads server-sent events (HTML standard, section 9.2) as they come in. Used by `api.client`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from wayhouse.api.client_errors import StrangeAnswerError, UnreachableError

MOST_LINE = 4 * 1024 * 1024
END = "end"


class Lines(Protocol):
    """What this needs of an answer."""

    def readline(self, limit: int = ..., /) -> bytes: ...


class Event(NamedTuple):
    """`data` is None where only the id was told; `cursor` is the last id there was, None before the first."""

    data: str | None
    cursor: str | None


def events(lines: Lines) -> Iterator[Event]:
    """Each event up to `event: end`.

    Raises `UnreachableError` when the connection ends before that, `StrangeAnswerError` for a line without end.
    """
    event, data, cursor, told = "", list[str](), None, None
    while raw := lines.readline(MOST_LINE + 1):
        if len(raw) > MOST_LINE:
            raise StrangeAnswerError("The gateway sends a line that has no end.")
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line:
            event = value if name == "event" else event
            data += [value] if name == "data" else []
            cursor = (value or None) if name == "id" and "\0" not in value else cursor
            continue
        if event == END:
            return
        if data or cursor != told:
            yield Event("\n".join(data) if data else None, cursor)
        event, data, told = "", [], cursor
    raise UnreachableError("The connection to the gateway was lost.")
