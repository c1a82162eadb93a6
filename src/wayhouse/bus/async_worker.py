"""The Majordomo worker for programs with an asyncio loop: `credit` requests at work at once, heartbeats by the loop's timer.

Rules: a worker belongs to the loop that runs when it is made; a handler that fails is answered with status 500 and logged, and the
worker goes on; at a stop, what is at work is cancelled and its requests go back to the broker's queue.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import zmq

from wayhouse.base.tasks import Tasks
from wayhouse.bus import mdp
from wayhouse.bus.client import Request, body_of
from wayhouse.bus.drivers.dealer import Dealer
from wayhouse.bus.drivers.edge import Edge
from wayhouse.bus.drivers.frames import AnySocket, drain
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.kvmsg import to_bytes
from wayhouse.bus.link import Job, Link
from wayhouse.bus.model import ERROR, HEARTBEAT_S, RECONNECT_S, EndpointError, Frames

log = logging.getLogger(__name__)

Handler = Callable[[Frames], Awaitable[Request]]


class AsyncMajorDomoWorker:
    """`async with` it, then `serve(handler)`, or `take` and `answer`. Raises `EndpointError`, `MalformedError`."""

    status = True
    """Whether the worker is well; read by whoever answers `.mmi status`."""

    def __init__(  # noqa: PLR0913 - all but two have their defaults
        self,
        broker: str,
        service: str | bytes,
        *,
        credit: int = 1,
        version: int = mdp.V01,
        marks: bool = True,
        heartbeat_s: float = HEARTBEAT_S,
        reconnect_s: float = RECONNECT_S,
        context: zmq.Context[AnySocket] | None = None,
        keys: Keys = NO_KEYS,
    ) -> None:
        """`context`: one to share; whoever made it ends it."""
        self.broker = broker
        self.service = service
        self._loop = asyncio.get_running_loop()
        self._credit = credit
        self._link = Link(to_bytes(service), time.monotonic(), version=version, credit=credit, marks=marks)
        self._link.beat_every(heartbeat_s, time.monotonic())
        self._link.reconnect_s = reconnect_s
        self._jobs: asyncio.Queue[Job | None] = asyncio.Queue()
        self._edge: Edge | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self._shares = context is not None
        self._context: zmq.Context[AnySocket] = context or zmq.Context()
        self._closed = False
        self._dealer = Dealer(self._context, broker, self._swap, keys)
        try:
            self._settle()
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

    async def take(self) -> Job | None:
        """The next request; None when stopped."""
        while not self._stopped:
            job = await self._jobs.get()
            if job is None or job.registration == self._link.registration:
                return job
        return None

    def answer(self, job: Job, reply: Request, *, final: bool = True) -> bool:
        """False when the broker was lost meanwhile. Parts (`final=False`) need MDP 0.2, else `MalformedError` is raised."""
        done = self._link.reply(job, body_of(reply), time.monotonic(), final=final)
        self._settle()
        return done

    async def serve(self, handler: Handler) -> None:
        """`handler(body)` gives the reply; up to `credit` run at once. Returns after `shutdown`."""
        free = asyncio.Semaphore(self._credit)
        async with Tasks() as tasks:
            while True:
                await free.acquire()
                job = await self.take()
                if job is None:
                    return
                tasks.spawn(self._handle(handler, job, free), name=f"a request to {self.service!r}")

    def shutdown(self) -> None:
        self._stopped = True
        self._jobs.put_nowait(None)

    async def destroy(self) -> None:
        """DISCONNECT, and everything is closed; what was sent has half a second to leave."""
        if self._closed:
            return
        self._closed = True
        self.shutdown()
        self._link.end(time.monotonic())
        self._settle()
        self._dealer.close()
        if not self._shares:
            await self._loop.run_in_executor(None, self._context.term)

    async def _handle(self, handler: Handler, job: Job, free: asyncio.Semaphore) -> None:
        try:
            reply: Request = await handler(job.body)
        except Exception:
            log.exception("a request to %r failed", self.service)
            reply = ERROR
        finally:
            free.release()
        self.answer(job, reply)

    def _readable(self, socket: AnySocket) -> None:
        now = time.monotonic()
        for frames in drain(socket):
            self._link.receive(frames, now)
        self._settle()

    def _due(self) -> None:
        self._link.tick(time.monotonic())
        self._settle()

    def _settle(self) -> None:
        """After whatever moved the machine: hand out requests, send, look at the socket again, set the alarm."""
        for job in self._link.jobs():
            self._jobs.put_nowait(job)
        self._dealer.perform(self._link.outbox())
        if self._edge is not None:
            self._edge.look()
        if self._timer is not None:
            self._timer.cancel()
        moment = self._link.deadline()
        delay_s = None if moment is None else max(0.0, moment - time.monotonic())
        self._timer = None if delay_s is None else self._loop.call_later(delay_s, self._due)

    def _swap(self, old: AnySocket | None, new: AnySocket | None) -> None:
        if self._edge is not None:
            self._edge.close()
        self._edge = None if new is None else Edge(new, self._readable)
