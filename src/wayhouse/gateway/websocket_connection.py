"""One WebSocket: uvicorn's, given up in time when its client reads nothing, and able to rest and to move to another process.

A stream of ours moves at any moment, also in the middle of a frame that its client sends: the other process replays the
handshake without sending its answer a second time. One that is passed on to an app is held by two sockets and a library's
buffers; it stays, and is closed with 1012 when we leave.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from wayhouse.api.standing import KEY, Standing
from wayhouse.gateway.frame_rest import FrameRest
from wayhouse.gateway.http_connection import client_of
from wayhouse.gateway.traffic import MOST_SAID, Moved, State, is_movable, request_head


class WebSocketConnection(WebSocketsSansIOProtocol):
    def __init__(
        self, config: Config, server_state: State, app_state: dict[str, Any], _loop: Any = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._traffic = server_state
        self._at_rest = False
        self._is_full = False
        self._is_running = False
        self._rest_of_frame = FrameRest()
        self._moved: Moved | None = None
        self._taken: Standing | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.client = client_of(transport) or self.client
        if self._moved is not None:
            self._rest()

    def data_received(self, data: bytes) -> None:
        if self.handshake_initiated:  # what comes first, and at once, is the head
            self._rest_of_frame.feed(data)
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._at_rest = False
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self._taken is not None and not self.close_sent:
            scope: Any = self.scope
            scope[KEY] = self._taken
            self.conn.send_response(self.response)
            self.conn.data_to_send()  # the client has had it
            self.handshake_complete = True
            self.start_keepalive()

    def keepalive_timeout(self) -> None:
        """Closing in good order would wait for a client that reads nothing to take what is still to be sent."""
        super().keepalive_timeout()
        self.transport.abort()

    def pause_writing(self) -> None:
        self._is_full = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self._is_full = False
        if not self._at_rest:
            super().resume_writing()

    async def send(self, message: Any) -> None:
        while not self.writable.is_set():  # what woke us may be over again
            await self.writable.wait()
        await super().send(message)

    async def receive(self) -> Any:
        message = await super().receive()
        if self._at_rest:
            self.transport.pause_reading()
        return message

    def shutdown(self) -> None:
        """Once: what its client has not read may keep a connection that was shut down."""
        if not self.transport.is_closing():
            super().shutdown()

    async def run_asgi(self) -> None:
        self._is_running = True
        try:
            await super().run_asgi()
        finally:
            self._is_running = False

    def settle(self) -> bool:
        """A stream is open once its handshake is over and its application sends; a tunnel goes on."""
        if self._is_over():
            return True
        standing = self._standing()
        if not self.handshake_complete or (standing is not None and not standing.is_stream):
            return False
        if standing is not None:
            self._rest()
        return self._is_tunnel() or self.queue.empty()

    def is_busy(self) -> bool:
        return self._is_running

    def is_written_out(self) -> bool:
        return self.transport.get_write_buffer_size() == 0 or self._is_tunnel()

    def pack(self) -> Moved | None:
        if self._moved is not None:
            return self._moved  # adopted, and not gone on with
        standing = self._standing()
        if standing is None or not self._at_rest or self._is_over() or not is_movable(self.transport):
            return None
        said = standing.unanswered
        if sum(map(len, said)) > MOST_SAID or not self.queue.empty():
            return None
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._head_pairs()]
        return Moved(
            kind="websocket",
            head=request_head("GET", self.request.path, "1.1", headers),
            rest=bytes(self._rest_of_frame),
            cursor=standing.cursor,
            said=said,
            parts=[bytes(part) for part in self.frames],
            is_text=self.curr_msg_data_type == "text",
        )

    def adopt(self, moved: Moved) -> None:
        """Before it is given its transport: it begins at rest."""
        self._moved = moved

    def carry_on(self) -> None:
        moved, self._moved = self._moved, None
        if not self._at_rest or self.transport.is_closing():
            return
        self._at_rest = False
        if moved is not None:
            self._replay(moved)
        elif not self.close_sent:
            self.start_keepalive()
        if not self._is_full:
            self.writable.set()
        if not self.read_paused:
            self.transport.resume_reading()

    def _replay(self, moved: Moved) -> None:
        self._taken = Standing(moved.cursor, moved.said, taken_over=True)
        self.data_received(moved.head)
        if moved.parts:
            self.frames = list(moved.parts)
            self.curr_msg_data_type = "text" if moved.is_text else "bytes"
            self.conn.current_size = sum(map(len, moved.parts))
        if moved.rest:
            self.data_received(moved.rest)

    def _rest(self) -> None:
        if not self._at_rest:
            self._at_rest = True
            self.transport.pause_reading()
            self.writable.clear()
            self.stop_keepalive()

    def _standing(self) -> Standing | None:
        found = self.scope.get(KEY) if self.handshake_initiated and not self._has_failed() else None
        return found if isinstance(found, Standing) else None

    def _is_tunnel(self) -> bool:
        """Passed on to an app: nothing of ours has opened it."""
        return self.handshake_complete and self._standing() is None

    def _is_over(self) -> bool:
        return self.close_sent or self.disconnected or self.transport.is_closing()

    def _has_failed(self) -> bool:
        """The handshake was refused before there was a scope."""
        return self.response.status_code != 101

    def _head_pairs(self) -> list[tuple[str, str]]:
        return list(self.request.headers.raw_items())
