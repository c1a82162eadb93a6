"""The Majordomo client for programs with an asyncio loop: as many calls under way as wished, each with its deadline.

Rules: a client belongs to the loop that runs when it is made; a call that is cancelled is forgotten; nothing blocks the loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import zmq

from wayhouse.bus import mdp
from wayhouse.bus.calls import Answered, Calls
from wayhouse.bus.client import Request, body_of
from wayhouse.bus.drivers.dealer import FAREWELL_MS, Dealer
from wayhouse.bus.drivers.edge import Edge
from wayhouse.bus.drivers.frames import AnySocket, drain
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.kvmsg import to_bytes
from wayhouse.bus.model import CLIENT_RETRIES, CLIENT_TIMEOUT_S, EndpointError, Frames, NoReplyError

TIMEOUT_S = CLIENT_TIMEOUT_S * CLIENT_RETRIES
Part = tuple[Frames, bool] | None


class AsyncMajorDomoClient:
    """`marks`: the broker is ours, so calls to one service may overtake each other. Raises `EndpointError`."""

    def __init__(
        self,
        broker: str,
        *,
        marks: bool = True,
        version: int = mdp.V01,
        max_calls: int = 10_000,
        context: zmq.Context[AnySocket] | None = None,
        keys: Keys = NO_KEYS,
    ) -> None:
        """`context`: one to share; whoever made it ends it."""
        self.broker = broker
        self._loop = asyncio.get_running_loop()
        self._machine = Calls(marks=marks, version=version, max_calls=max_calls)
        self._parts: dict[int, asyncio.Queue[Part]] = {}
        self._edge: Edge | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._shares = context is not None
        self._context: zmq.Context[AnySocket] = context or zmq.Context()
        self._closed = False
        self._dealer = Dealer(self._context, broker, self._swap, keys)
        try:
            self._dealer.perform(self._machine.outbox())
        except EndpointError:
            if not self._shares:
                self._context.term()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.destroy()

    async def call(
        self,
        service: str | bytes,
        request: Request,
        *,
        timeout_s: float = TIMEOUT_S,
        attempt_s: float = CLIENT_TIMEOUT_S,
        once: bool = False,
    ) -> Frames:
        """The reply's body. Raises `NoReplyError` after `timeout_s`, `TooManyRequestsError`, `MalformedError`."""
        body: Frames = []
        async for part in self.parts(service, request, timeout_s=timeout_s, attempt_s=attempt_s, once=once):
            body += part
        return body

    async def send(self, service: str | bytes, request: Request) -> Frames | None:
        """As RasPy's client: the reply's body, None when nobody answered."""
        try:
            return await self.call(service, request)
        except NoReplyError:
            return None

    async def parts(
        self,
        service: str | bytes,
        request: Request,
        *,
        timeout_s: float = TIMEOUT_S,
        attempt_s: float = CLIENT_TIMEOUT_S,
        once: bool = False,
    ) -> AsyncIterator[Frames]:
        """The parts of a reply as they come (one, unless the worker and this client speak MDP 0.2). Raises as `call`."""
        now = time.monotonic()
        number = self._machine.start(
            to_bytes(service), body_of(request), now, attempt_s=min(attempt_s, timeout_s),
            attempts=max(1, round(timeout_s / attempt_s)), deadline=now + timeout_s, once=once,
        )  # fmt: skip
        queue = self._parts[number] = asyncio.Queue()
        self._settle()
        try:
            is_final = False
            while not is_final:
                part = await queue.get()
                if part is None:
                    raise NoReplyError("Nobody answered in time: is a worker of this service running?")
                body, is_final = part
                yield body
        finally:
            self._parts.pop(number, None)
            self._machine.cancel(number, time.monotonic())
            self._settle()

    async def destroy(self) -> None:
        """Calls that are under way get `NoReplyError`; what was sent has half a second to leave."""
        if self._closed:
            return
        self.close()
        if not self._shares:
            await self._loop.run_in_executor(None, self._context.term)

    def close(self, *, farewell_ms: int = FAREWELL_MS) -> None:
        """`destroy` without ending the context: for one that is shared."""
        if self._closed:
            return
        self._closed = True
        for queue in self._parts.values():
            queue.put_nowait(None)
        if self._timer is not None:
            self._timer.cancel()
        self._dealer.close(farewell_ms=farewell_ms)

    def _readable(self, socket: AnySocket) -> None:
        now = time.monotonic()
        for frames in drain(socket):
            self._machine.receive(frames, now)
        self._settle()

    def _due(self) -> None:
        self._timer = None
        self._machine.tick(time.monotonic())
        self._settle()

    def _settle(self) -> None:
        """After whatever moved the machine: hand out answers, send, look at the socket again, set the alarm."""
        for event in self._machine.events():
            queue = self._parts.get(event.call)
            if queue is not None:
                queue.put_nowait((event.body, event.final) if isinstance(event, Answered) else None)
        if self._dealer.socket is None:
            return
        self._dealer.perform(self._machine.outbox())
        if self._edge is not None:
            self._edge.look()
        self._alarm()

    def _alarm(self) -> None:
        """A timer that is too early is left: setting it anew for each call would cost more than it finds."""
        moment = self._machine.deadline()
        if moment is None or (self._timer is not None and self._timer_at <= moment):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = moment
        self._timer = self._loop.call_later(max(0.0, moment - time.monotonic()), self._due)

    def _swap(self, old: AnySocket | None, new: AnySocket | None) -> None:
        if self._edge is not None:
            self._edge.close()
        self._edge = None if new is None else Edge(new, self._readable)
