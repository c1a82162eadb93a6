"""One HTTP connection: uvicorn's, with bounds on what a sender leaves unfinished, a name for callers on UNIX sockets, and rest.

Made by the servers of `listeners.py`; a WebSocket begins as one and goes on as a `websocket_connection`. It can move to another
process between two requests, in the head of one, and in an event stream of ours.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from wayhouse.api.http import PEER
from wayhouse.api.standing import KEY, TUNNEL, Standing
from wayhouse.gateway.traffic import Flow, Moved, State, is_movable, request_head

MAX_HEAD = 512 * 1024
"""Bytes that a sender may send without finishing a head or a part of a body; more than one read of the loop's."""
HEAD_S = 20.0
"""How long a sender may take for the head of a request."""
APPS = "apps.sock"


class HttpConnection(HttpToolsProtocol):
    """The parser itself would collect a head without end, for as long as it takes."""

    flow: Flow

    def __init__(
        self, config: Config, server_state: State, app_state: dict[str, Any], _loop: Any = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._traffic = server_state
        self._unfinished = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._at_rest = False
        self._head: list[bytes] = []
        self._begun = False
        """A message has begun and not ended; `_in_body`: its head has."""
        self._in_body = False
        self._ended_before = False
        """In what came last another message ended."""
        self._is_tangled = False
        """Where the head that has begun begins is not known: behind another message."""
        self._had_before = False
        """A request, in another process."""
        self._moved: Moved | None = None
        self._taken: Standing | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.client = client_of(transport) or self.client
        if self._moved is not None or self._traffic.is_resting:
            self._rest()
        else:
            self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        self._unfinished += len(data)
        self._ended_before = False
        if not self._in_body:
            self._head.append(data)
        super().data_received(data)
        if not self._begun or self._in_body:
            self._head.clear()
        if self._unfinished > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The request does not come to an end.")
        elif self._unfinished == 0:
            self._set_deadline(None)
        elif self._deadline is None and not self._at_rest:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        self.flow.go()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._begun = True
        self._is_tangled = self._ended_before
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._unfinished = 0
        self._in_body = True
        super().on_headers_complete()
        if self._taken is not None:
            self._go_on_with(self._taken)
            self._taken = None

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished = 0
        self._begun = self._in_body = False
        self._ended_before = True
        super().on_message_complete()
        if self._traffic.is_resting:
            self._rest()

    def handle_websocket_upgrade(self) -> None:
        """Its application begins, and the other class brings it to rest once it is open."""
        self._at_rest = False
        self.flow.release()
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._at_rest:
            self._unset_keepalive_if_required()

    def shutdown(self) -> None:
        """A stream would not end by itself: it hears that the client is gone."""
        super().shutdown()
        if self._is_answering() and self.cycle.response_started:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.transport.close()

    def settle(self) -> bool:
        """A body is still read to its end; what is answered before it came whole is no longer waited for."""
        if not self._in_body:
            self._rest()
        if self._is_answering() and self._is_stream() and self.cycle.response_started:
            self.flow.stop()
            return True
        return not self._is_answering() or self._is_tunnel()

    def is_busy(self) -> bool:
        return self._is_answering()

    def is_written_out(self) -> bool:
        return self.transport.get_write_buffer_size() == 0 or self._is_tunnel()

    def pack(self) -> Moved | None:
        is_lost = self._begun and self._is_tangled
        if not self._at_rest or self._in_body or is_lost or not is_movable(self.transport):
            return None
        if self._moved is not None:
            return self._moved  # adopted, and not gone on with
        if self._is_answering():
            return self._pack_stream()
        return Moved(kind="http", rest=b"".join(self._head), had_request=self._had_request())

    def adopt(self, moved: Moved) -> None:
        """Before it is given its transport: it begins at rest."""
        self._moved = moved

    def carry_on(self) -> None:
        moved, self._moved = self._moved, None
        if not self._at_rest or self.transport.is_closing():
            return
        self._at_rest = False
        if moved is not None and moved.kind == "events":
            self._taken = Standing(moved.cursor, moved.said, taken_over=True)
            self.data_received(moved.head)
        elif moved is not None and moved.rest:
            self.data_received(moved.rest)
        self.flow.go()
        self.flow.release()
        self._had_before = self._had_before or (moved is not None and moved.had_request)
        if self._begun or not self._had_request():
            self._wait_for_head()
        elif not self._is_answering():
            self._wait_for_request()

    def _rest(self) -> None:
        self._at_rest = True
        self.flow.hold()
        self._set_deadline(None)
        self._unset_keepalive_if_required()

    def _had_request(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return self._had_before or cycle is not None

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not (cycle.response_complete and not self.pipeline)

    def _is_stream(self) -> bool:
        standing = self.cycle.scope.get(KEY)
        return isinstance(standing, Standing) and standing.is_stream

    def _is_tunnel(self) -> bool:
        """An endless answer of an app's; it is cut when we leave, and not waited for."""
        return self._is_answering() and TUNNEL in self.cycle.scope

    def _pack_stream(self) -> Moved | None:
        cycle: Any = self.cycle
        scope = cycle.scope
        standing = scope.get(KEY)
        named = {name for name, _ in scope["headers"]}
        if not isinstance(standing, Standing) or not standing.is_stream or not cycle.chunked_encoding:
            return None
        if self._begun or self.pipeline or named & {b"content-length", b"transfer-encoding"}:
            return None  # a body would be read again, and what follows it for the body
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        head = request_head(scope["method"], target, scope["http_version"], scope["headers"])
        return Moved(kind="events", head=head, cursor=standing.cursor)

    def _go_on_with(self, standing: Standing) -> None:
        """The application is started anew for a request whose answer has begun in another process."""
        scope: Any = self.cycle.scope
        scope[KEY] = standing
        self.cycle.response_started = True
        self.cycle.chunked_encoding = True
        self.cycle.waiting_for_100_continue = False

    def _wait_for_head(self) -> None:
        self._set_deadline(self.loop.call_later(HEAD_S, self.transport.close))

    def _wait_for_request(self) -> None:
        self._unset_keepalive_if_required()
        wait_s = self.timeout_keep_alive
        self.timeout_keep_alive_task = self.loop.call_later(wait_s, self.timeout_keep_alive_handler)

    def _set_deadline(self, deadline: asyncio.TimerHandle | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = deadline


def client_of(transport: asyncio.Transport) -> tuple[str, int] | None:
    """(`unix:<uid>`, pid) on the gateway's own socket, ("apps", 0) on that of the apps, None on TCP."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    name = sock.getsockname()
    if not isinstance(name, str) or name.endswith(APPS):
        return "apps", 0
    pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return f"{PEER}{uid}", pid
