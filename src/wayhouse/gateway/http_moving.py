"""All connections of the daemon's web servers as one part of a hot upgrade: they rest, are packed, and go on, here or elsewhere.

Called by the succession (`rest`, `pack`, then `carry_on` or `let_go`) and by the successor (`adopt` before it serves, `go_on` once
it does). Rules: no request is begun while they rest, and none is cut that can end in time; a stream stops between two frames;
a socket that has moved is closed without `shutdown`, which would end the connection for the other process as well.

What cannot move: TLS (its keys are in the library), a client that does not read what it is sent, a request that follows another
in one packet, a body that still comes after its answer, a handshake that is going down, and what is passed on to an app as a
WebSocket or an endless answer (the app's end is another socket, with a library's buffers between).
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, UnavailableError
from wayhouse.gateway.http_connection import HttpConnection
from wayhouse.gateway.listeners import Server
from wayhouse.gateway.traffic import Connection, Moved
from wayhouse.gateway.websocket_connection import WebSocketConnection

LOOK_S = 0.005
WRITE_OUT_S = 1.0
"""How long clients may take to read what was sent before the rest began."""


class HttpConnections:
    """Over all of the daemon's servers."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = servers
        self._moved: list[Connection] = []
        self._adopted: list[Connection] = []

    async def rest(self, patience_s: float) -> None:
        """Accept nothing, begin no request, let those under way end. Raises `UnavailableError` when they do not in time;
        then, as in any case before `let_go`, `carry_on` makes it undone."""
        for server in self._servers:
            server.rest()
        until = time.monotonic() + patience_s
        await asyncio.sleep(LOOK_S)  # what was accepted just now has become a connection
        while busy := self._under_way():
            if time.monotonic() >= until:
                raise UnavailableError(
                    f"{busy} requests have not ended within {patience_s:g} seconds. Try again when they are over."
                )
            await asyncio.sleep(LOOK_S)
        until = min(time.monotonic() + WRITE_OUT_S, until)
        while time.monotonic() < until and not all(one.is_written_out() for one in self._connections()):  # noqa: ASYNC110 - clients read
            await asyncio.sleep(LOOK_S)

    def pack(self) -> list[tuple[dict[str, Any], list[int]]]:
        """What moves, each with its socket's descriptor, which stays ours."""
        self._moved = []
        parcels = []
        for one in self._connections():
            moved = one.pack()
            if moved is not None:
                self._moved.append(one)
                parcels.append((_plain(moved), [one.transport.get_extra_info("socket").fileno()]))
        return parcels

    def carry_on(self) -> None:
        """As if nothing had happened; also when only a part of `rest` was done."""
        self._moved = []
        for server in self._servers:
            server.carry_on()
        for one in self._connections():
            one.carry_on()

    def let_go(self) -> None:
        """Another process has those that moved. The others are closed as well as it goes: WebSockets with 1012, event
        streams without an end, so that their clients come back."""
        for one in self._moved:
            one.transport.abort()  # closes the descriptor and nothing more: there is nothing left to write
        moved = set(map(id, self._moved))
        for one in self._connections():
            if id(one) not in moved:
                one.shutdown()
        self._moved = []

    async def adopt(self, state: dict[str, Any], fds: list[int]) -> None:
        """Take one connection, and do nothing with it yet. Owns `fds`. Raises `ValueError` for what is not understood."""
        try:
            moved = codec.convert(state, Moved)
            (fd,) = fds
            sock = socket.socket(fileno=fd)
        except (BadInputError, ValueError, OSError) as error:
            for fd in fds:
                os.close(fd)
            raise ValueError(f"no HTTP connection: {error}") from error
        one = self._make(moved)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: one, sock)
        except OSError:  # its client is gone
            sock.close()
            return
        self._adopted.append(one)

    def go_on(self) -> None:
        """Once the servers have started: read on, and open the streams where they were."""
        adopted, self._adopted = self._adopted, []
        for one in adopted:
            one.carry_on()

    def _make(self, moved: Moved) -> HttpConnection | WebSocketConnection:
        server = next(one for one in self._servers if one.config.ssl is None)
        kind = WebSocketConnection if moved.kind == "websocket" else HttpConnection
        one = kind(server.config, server.traffic, {})
        one.adopt(moved)
        return one

    def _under_way(self) -> int:
        """How many requests have not ended, also of clients that are gone; brings to rest what can rest by now."""
        unsettled = sum(not one.settle() for one in self._connections())
        running = sum(len(server.traffic.tasks) for server in self._servers)
        expected = sum(one.is_busy() for one in self._connections())
        return unsettled or max(0, running - expected)

    def _connections(self) -> Iterator[Connection]:
        for server in self._servers:
            ours: Any = list(server.traffic.connections)  # which uvicorn takes for its own
            yield from ours


def _plain(moved: Moved) -> dict[str, Any]:
    """Without what is as usual, so that it is small and msgpack knows all of it."""
    usual = Moved(kind=moved.kind)
    fields = {name: getattr(moved, name) for name in moved.__struct_fields__}
    return {name: value for name, value in fields.items() if name == "kind" or value != getattr(usual, name)}
