"""Reads server-sent events (HTML standard, section 9.2) as they come in. Used by `api.client`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from wayhouse.api.client_errors import StrangeAnswerError, UnreachableError

MOST_LINE = 4 * 1024 * 1024
END = "end"


class Lines(Protocol):
    """What this needs of an answer."""

    def readline(self, limit: int = ..., /) -> bytes: ...


def frames(lines: Lines) -> Iterator[str]:
    """The data of each event up to `event: end`.

    Raises `UnreachableError` when the connection ends before that, `StrangeAnswerError` for a line without end.
    """
    event, data = "", list[str]()
    while raw := lines.readline(MOST_LINE + 1):
        if len(raw) > MOST_LINE:
            raise StrangeAnswerError("The gateway sends a line that has no end.")
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line:
            event = value if name == "event" else event
            data += [value] if name == "data" else []
            continue
        if event == END:
            return
        if data:
            yield "\n".join(data)
        event, data = "", []
    raise UnreachableError("The connection to the gateway was lost.")
