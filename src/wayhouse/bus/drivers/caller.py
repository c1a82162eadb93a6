"""One request at a time through a broker, with time-outs and new attempts: blocking, and for asyncio.

Called by the Titanic clients. Rules: an attempt that found no answer closes its socket, so that a late answer is never taken for that of
the next request; the last attempt's silence is None.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import zmq

from wayhouse.bus import mdp
from wayhouse.bus.drivers.edge import Edge
from wayhouse.bus.drivers.frames import AnySocket, drain, receive, send
from wayhouse.bus.model import EndpointError, Frames, MalformedError


class Caller:
    """For one thread at a time."""

    def __init__(self, endpoint: str, timeout_s: float, retries: int) -> None:
        """Raises `EndpointError`."""
        self._endpoint, self._timeout_s, self._retries = endpoint, timeout_s, retries
        self._context: zmq.Context[AnySocket] = zmq.Context()
        self._socket = _open(self._context, endpoint)

    def call(self, service: bytes, body: Sequence[bytes]) -> Frames | None:
        """The body of the reply; None when there was none after all attempts, and after `close`."""
        for _ in range(self._retries):
            if self._context.closed:
                return None
            send(self._socket, mdp.build_request(service, body))
            answer = self._wait(service, time.monotonic() + self._timeout_s)
            if answer is not None:
                return answer
            self._socket.close()
            self._socket = _open(self._context, self._endpoint)
        return None

    def close(self) -> None:
        if not self._context.closed:
            self._socket.close()
            self._context.term()

    def _wait(self, service: bytes, until: float) -> Frames | None:
        while (left := until - time.monotonic()) > 0:
            self._socket.poll(max(1, round(left * 1000)))
            while (frames := receive(self._socket)) is not None:
                answer = _body(frames, service)
                if answer is not None:
                    return answer
        return None


class AsyncCaller:
    """Callers wait for each other."""

    def __init__(self, endpoint: str, timeout_s: float, retries: int) -> None:
        """In a running loop. Raises `EndpointError`."""
        self._endpoint, self._timeout_s, self._retries = endpoint, timeout_s, retries
        self._context: zmq.Context[AnySocket] = zmq.Context()
        self._turn = asyncio.Lock()
        self._answer: asyncio.Future[Frames] | None = None
        self._service = b""
        self._open()

    async def call(self, service: bytes, body: Sequence[bytes]) -> Frames | None:
        """As `Caller.call`."""
        async with self._turn:
            for _ in range(self._retries):
                if self._context.closed:
                    return None
                answer = await self._attempt(service, body)
                if answer is not None:
                    return answer
        return None

    def close(self) -> None:
        if not self._context.closed:
            if self._answer is not None:
                self._answer.cancel()
            self._edge.close()
            self._socket.close()
            self._context.term()

    async def _attempt(self, service: bytes, body: Sequence[bytes]) -> Frames | None:
        self._answer = asyncio.get_running_loop().create_future()
        self._service = service
        answered = False
        try:
            send(self._socket, mdp.build_request(service, body))
            self._edge.look()
            answer = await asyncio.wait_for(self._answer, self._timeout_s)
            answered = True
        except TimeoutError:
            return None
        else:
            return answer
        finally:
            self._answer = None
            if not answered and not self._context.closed:
                self._edge.close()
                self._socket.close()
                self._open()

    def _open(self) -> None:
        self._socket = _open(self._context, self._endpoint)
        self._edge = Edge(self._socket, self._readable)

    def _readable(self, socket: AnySocket) -> None:
        for frames in drain(socket):
            answer = _body(frames, self._service)
            if answer is not None and self._answer is not None and not self._answer.done():
                self._answer.set_result(answer)


def _open(context: zmq.Context[AnySocket], endpoint: str) -> AnySocket:
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        context.term()
        raise EndpointError(f"The broker's address {endpoint} cannot be used: {error}.") from error
    return socket


def _body(frames: Frames, service: bytes) -> Frames | None:
    try:
        reply = mdp.parse_reply(frames)
    except MalformedError:
        return None
    return reply.body if reply.service == service else None
