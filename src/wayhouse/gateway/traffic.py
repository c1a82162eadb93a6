"""What the connections of one server have in common, and the words in which a connection moves to another process.

Used by the connection classes, `listeners.py`, and `http_moving.py`. Rule: a connection at rest is not read from and writes
nothing, so that another process can go on with its socket at any moment, or this one.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState


class State(ServerState):
    """Of a server; while it `is_resting` no request is begun."""

    def __init__(self) -> None:
        super().__init__()
        self.is_resting = False


class Moved(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A connection as plain data.

    `head` is the request that a stream began with, again as bytes. `rest` is what came and is not whole yet: of a head, or of a
    WebSocket's frame; `parts` is the beginning of a message in several frames. `cursor` and `said` are those of `api.standing`.
    """

    kind: Literal["http", "websocket", "events"]
    head: bytes = b""
    rest: bytes = b""
    had_request: bool = False
    cursor: str | None = None
    said: list[str] = []
    parts: list[bytes] = []
    is_text: bool = False


MOST_SAID = 256 * 1024
"""Characters that a client has said without an answer; a stream with more does not move."""


class Connection(Protocol):
    """What `http_moving.py` needs of a connection."""

    transport: Any

    def settle(self) -> bool:
        """Come to rest as far as that is possible now; whether nothing is under way any more."""
        ...

    def is_written_out(self) -> bool: ...

    def pack(self) -> Moved | None:
        """None: it cannot move. Changes nothing."""
        ...

    def carry_on(self) -> None:
        """Also of a connection that was never at rest."""
        ...

    def shutdown(self) -> None: ...

    def is_busy(self) -> bool:
        """Whether an application runs for it: a stream, or one that is passed on to an app."""
        ...


class Flow(FlowControl):
    """With two reasons to read nothing, and two to write nothing: uvicorn's own, and rest."""

    _held = False
    _stopped = False
    _full = False

    def hold(self) -> None:
        self._held = True
        self._transport.pause_reading()

    def release(self) -> None:
        self._held = False
        if not self.read_paused:
            self._transport.resume_reading()

    def stop(self) -> None:
        self._stopped = True
        self._block()

    def go(self) -> None:
        self._stopped = False
        self._block()

    async def drain(self) -> None:
        """Until something may be written now: what woke us may be over again."""
        while self.write_paused:
            await self._is_writable_event.wait()

    def resume_reading(self) -> None:
        if self._held:
            self.read_paused = False
        else:
            super().resume_reading()

    def pause_writing(self) -> None:
        self._full = True
        self._block()

    def resume_writing(self) -> None:
        self._full = False
        self._block()

    def _block(self) -> None:
        self.write_paused = self._full or self._stopped
        if self.write_paused:
            self._is_writable_event.clear()
        else:
            self._is_writable_event.set()


def is_movable(transport: Any) -> bool:
    """TLS keeps keys and half-read records to itself; one whose client does not read has something left to write."""
    closing, tls = transport.is_closing(), transport.get_extra_info("sslcontext") is not None
    return not closing and not tls and transport.get_write_buffer_size() == 0


def request_head(method: str, target: str, version: str, headers: list[tuple[bytes, bytes]]) -> bytes:
    """A request's head as a client would send it (RFC 9112, section 3)."""
    lines = [f"{method} {target} HTTP/{version}".encode("latin-1")]
    lines.extend(name + b": " + value for name, value in headers)
    return b"\r\n".join((*lines, b"", b""))
