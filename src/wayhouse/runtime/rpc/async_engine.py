"""Serving on an asyncio loop that is there already: the same conversations, machines and threads, other watching.

Called by `async_server.py`. Coroutine methods are tasks of the loop, methods that yield asynchronously too; methods that are
neither those nor `threaded` run on the loop and must be short. Rule: every task starts in the `Tasks` that was handed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import socket as sockets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from wayhouse.base.tasks import Tasks
from wayhouse.runtime.rpc import methods, outcome
from wayhouse.runtime.rpc.conversation import FAILURES, Conversation
from wayhouse.runtime.rpc.engine import IN, OUT, BaseEngine
from wayhouse.runtime.rpc.running import Running
from wayhouse.runtime.rpc.service import Service
from wayhouse.runtime.rpc.serving import serving
from wayhouse.runtime.rpc.streams import Generated

PAUSE_S = 0.1
ACCEPTED_AT_ONCE = 128


class AsyncEngine(BaseEngine):
    def __init__(self, service: Service, tasks: Tasks, *, threads: int = 16) -> None:
        super().__init__(service, threads=threads)
        self._loop = asyncio.get_running_loop()
        self._tasks = tasks
        self._context = contextvars.copy_context()
        self._context.run(serving.set, self.serving)
        self._feeders: dict[Generated, asyncio.Event] = {}
        self.listeners: dict[int, sockets.socket] = {}

    def listen(self, sock: sockets.socket) -> None:
        sock.setblocking(False)
        self.listeners[sock.fileno()] = sock
        self._reader(sock.fileno(), self._accept, sock)

    def stop_listening(self) -> list[sockets.socket]:
        for fd in self.listeners:
            self._loop.remove_reader(fd)
        kept = list(self.listeners.values())
        self.listeners.clear()
        return kept

    def watch(self, conversation: Conversation, mask: int) -> None:
        fd = conversation.sock.fileno()
        before, conversation.watched = conversation.watched, mask
        if mask & IN:
            self._reader(fd, self.readable, conversation)
        elif before & IN:
            self._loop.remove_reader(fd)
        if mask & OUT:
            self._context.run(self._loop.add_writer, fd, self._writable, conversation)
        elif before & OUT:
            self._loop.remove_writer(fd)

    def unwatch(self, conversation: Conversation) -> None:
        fd = conversation.sock.fileno()
        if fd >= 0:
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)

    def call_at(self, moment: float, action: Callable[[], None]) -> None:
        delay_s = max(0.0, moment - time.monotonic())
        self._loop.call_later(delay_s, action, context=self._context.copy())

    def post(self, action: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(action, context=self._context.copy())

    def soon(self, conversation: Conversation) -> None:
        if not conversation.queued:
            conversation.queued = True
            self._loop.call_soon(self._turn_queued, conversation, context=self._context.copy())

    def defer(self, conversation: Conversation, running: Running) -> None:
        if running.row.kind == methods.COROUTINE:
            name = f"rpc {running.row.name}"
            running.handle = self._tasks.spawn(self._await(conversation, running), name=name)
        else:
            super().defer(conversation, running)

    def advance(self, conversation: Conversation, stream: Generated) -> None:
        if not isinstance(stream.items, AsyncIterator):
            super().advance(conversation, stream)
            return
        wake = self._feeders.get(stream)
        if wake is None:
            self._feeders[stream] = wake = asyncio.Event()
            self._tasks.spawn(self._feed(conversation, stream, wake), name=f"rpc stream {stream.call.method}")
        wake.set()

    async def _await(self, conversation: Conversation, running: Running) -> None:
        serving.set(running.serving)
        result, error = None, None
        params = running.call.params
        try:
            if params is not None:
                result = await running.row.function(*params.vargs, **params.kwargs)
        except FAILURES as failure:
            error = failure
        except asyncio.CancelledError:
            running.over = True
            raise
        finally:
            self.finished(conversation, running, result, error)

    async def _feed(self, conversation: Conversation, stream: Generated, wake: asyncio.Event) -> None:
        """Take items while there is credit; sleep while there is none."""
        try:
            async for item in stream.items:  # type: ignore[attr-defined]  # checked by `advance`
                while not stream.closed and not conversation.may_send(stream):
                    stream.busy = False
                    wake.clear()
                    await wake.wait()
                if stream.closed or not conversation.item(stream, item):
                    break
                self.turn(conversation)
            else:
                conversation.end(stream)
        except FAILURES as failure:
            if not stream.closed:
                conversation.end(stream, outcome.details_of(failure))
        finally:
            self._feeders.pop(stream, None)
            await _close_items(stream.items)
        if not conversation.gone:
            self.turn(conversation)

    def stream_closed(self, stream: Generated) -> None:
        wake = self._feeders.get(stream)
        if wake is not None:
            wake.set()

    def _reader(self, fd: int, action: Callable[..., None], argument: Any) -> None:
        self._context.run(self._loop.add_reader, fd, action, argument)

    def _writable(self, conversation: Conversation) -> None:
        if not conversation.gone:
            self.turn(conversation)

    def _turn_queued(self, conversation: Conversation) -> None:
        conversation.queued = False
        if not conversation.gone:
            self.turn(conversation)

    def _accept(self, listener: sockets.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, _peer = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._pause(listener)
                return
            try:
                self.welcome(sock)
            except OSError:
                sock.close()

    def _pause(self, listener: sockets.socket) -> None:
        """Out of descriptors: ask again in a moment instead of spinning."""
        fd = listener.fileno()
        if fd not in self.listeners:
            return
        self._loop.remove_reader(fd)

        def go_on() -> None:
            if fd in self.listeners:
                self._reader(fd, self._accept, listener)

        self.call_at(time.monotonic() + PAUSE_S, go_on)


async def _close_items(items: Any) -> None:
    close = getattr(items, "aclose", None)
    if close is not None:
        with contextlib.suppress(*FAILURES):
            await close()
