"""The part of serving that all loops share: sockets in and out of conversations, threads for slow methods, lingering ends.

Called by `Control` (through `epoll_engine.py`) and by `async_engine.py`; a subclass says how to watch a descriptor, how to set a
timer and how a thread speaks to the loop. Rule: whatever one connection does, an error on it ends it alone.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import select
import socket as sockets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from wayhouse.runtime.exceptions import Exit
from wayhouse.runtime.rpc import handshake, methods
from wayhouse.runtime.rpc.conversation import FAILURES, Conversation
from wayhouse.runtime.rpc.parts import Attachment
from wayhouse.runtime.rpc.running import Running
from wayhouse.runtime.rpc.service import Service
from wayhouse.runtime.rpc.serving import Serving, serving
from wayhouse.runtime.rpc.stream_sockets import peer_credentials, tune
from wayhouse.runtime.rpc.streams import DONE, Generated
from wayhouse.runtime.rpc.transport import READ_AT_ONCE, receive, send_some
from wayhouse.runtime.rpc.wire import ServerWire

IN, OUT = select.EPOLLIN, select.EPOLLOUT
LINGER_S = 2.0
TAKEN_AT_ONCE = 16


class BaseEngine(abc.ABC):
    """Owns the sockets of a server's clients. `on_open`, `on_lost` and `on_exit` are the server's."""

    def __init__(self, service: Service, *, threads: int = 16) -> None:
        self.service = service
        self.conversations: dict[int, Conversation] = {}
        self.serving = Serving()
        self.on_open: Callable[[Conversation], None] = _nothing
        self.on_lost: Callable[[Conversation], None] = _nothing
        self.on_exit: Callable[[Exit], None] = _nothing
        self._view = memoryview(bytearray(READ_AT_ONCE))
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    @abc.abstractmethod
    def watch(self, conversation: Conversation, mask: int) -> None:
        """From now on `readable` and `turn` are called as `mask` says."""

    @abc.abstractmethod
    def unwatch(self, conversation: Conversation) -> None: ...

    @abc.abstractmethod
    def call_at(self, moment: float, action: Callable[[], None]) -> None: ...

    @abc.abstractmethod
    def post(self, action: Callable[[], None]) -> None:
        """Run `action` on the loop's thread; called from any thread."""

    @abc.abstractmethod
    def soon(self, conversation: Conversation) -> None: ...

    def welcome(self, sock: sockets.socket) -> Conversation:
        """Serve a socket that was just accepted: the handshake first."""
        sock.setblocking(False)
        tune(sock)
        unix = sock.family == sockets.AF_UNIX
        account = self.service.account_of(peer_credentials(sock).uid) if unix else ""
        wire = ServerWire(
            self.service.accepted_keys,
            salt=handshake.make_salt(),
            account=account,
            limit=self.service.limit,
            unix=unix,
        )
        wire.begin()
        return self.adopt(sock, wire)

    def adopt(self, sock: sockets.socket, wire: ServerWire, *, frozen: bool = False) -> Conversation:
        """Serve a socket with a machine that may be in the middle of anything; a frozen one waits for `thaw`."""
        sock.setblocking(False)
        conversation = Conversation(self.service, self, wire, self.serving)
        conversation.frozen = frozen
        conversation.sock = sock
        self.conversations[sock.fileno()] = conversation
        self.service.connections.add(conversation)
        if not frozen:
            self.turn(conversation)
        return conversation

    def release(self, conversation: Conversation) -> None:
        """Let go of a connection without ending it: its socket stays open for another process."""
        self.unwatch(conversation)
        self.conversations.pop(conversation.sock.fileno(), None)
        self.service.connections.discard(conversation)
        conversation.leave()
        conversation.sock.close()

    def readable(self, conversation: Conversation) -> None:
        if conversation.frozen:
            self._watch_as(conversation, 0)
            return
        try:
            alive = receive(conversation.sock, conversation.wire, self._view)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            alive = False
        if not alive:
            self.drop(conversation)
        elif conversation.lingering:
            conversation.wire.frames.discard()
        else:
            self.turn(conversation)

    def turn(self, conversation: Conversation) -> None:
        """Do all that can be done for one client: serve, send, and watch for what is missing."""
        conversation.work()
        if conversation.gone:
            return
        if conversation.frozen:
            self._watch_as(conversation, 0)
            return
        outbox = conversation.wire.outbox
        waits = False
        if outbox.out or outbox.chunks:
            try:
                waits = not send_some(conversation.sock, outbox)
            except OSError:
                self.drop(conversation)
                return
        if conversation.closing:
            self._finish(conversation)
            return
        held = conversation.held
        if conversation.backlog and not held:
            self.soon(conversation)
        mask = (0 if held else IN) | (OUT if waits else 0)
        if mask != conversation.mask:
            self._watch_as(conversation, mask)

    def drop(self, conversation: Conversation) -> None:
        """The connection is over, whoever ended it."""
        if conversation.gone:
            return
        self.unwatch(conversation)
        self.conversations.pop(conversation.sock.fileno(), None)
        self.service.connections.discard(conversation)
        conversation.leave()
        conversation.sock.close()
        self.on_lost(conversation)

    def opened(self, conversation: Conversation) -> None:
        self.on_open(conversation)

    def exit(self, error: Exit) -> None:
        self.on_exit(error)

    def stream_closed(self, stream: Generated) -> None:  # noqa: B027 - a loop may have nothing to do
        """Nothing to wake here: a thread looks before each item."""

    def expire_at(self, moment: float, conversation: Conversation, key: int) -> None:
        def expire() -> None:
            if not conversation.gone:
                conversation.expire(key)
                self.turn(conversation)

        self.call_at(moment, expire)

    def defer(self, conversation: Conversation, running: Running) -> None:
        """Run a slow method in a thread."""
        running.handle = self._threaded(self._run, conversation, running)

    def advance(self, conversation: Conversation, stream: Generated) -> None:
        if isinstance(stream.items, AsyncIterator):
            stream.items = Bridged(stream.items)
        self._threaded(self._take, conversation, stream)

    def close_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _threaded(self, work: Callable[..., None], *arguments: Any) -> Any:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "rpc")
        return self._pool.submit(work, *arguments)

    def _run(self, conversation: Conversation, running: Running) -> None:
        """In a thread: call the method, then tell the loop."""
        token = serving.set(running.serving)
        result, error = None, None
        params = running.call.params
        try:
            if params is not None:
                result = running.row.function(*params.vargs, **params.kwargs)
            if running.row.kind == methods.COROUTINE and result is not None:
                result = asyncio.run(result)
        except FAILURES as failure:
            error = failure
        finally:
            serving.reset(token)
        self.post(lambda: self.finished(conversation, running, result, error))

    def finished(
        self, conversation: Conversation, running: Running, result: Any, error: BaseException | None
    ) -> None:
        conversation.finish(running, result, error)
        if not conversation.gone:
            self.turn(conversation)

    def _take(self, conversation: Conversation, stream: Generated) -> None:
        """In a thread: the next items of a stream, as many as its credit may bear."""
        items: list[Any] = []
        error = None
        cost, until = 0, time.monotonic() + 0.005
        try:
            while len(items) < TAKEN_AT_ONCE and cost < stream.credit and not stream.closed:
                items.append(stream.take())
                cost += _size(items[-1])
                if items[-1] is DONE or time.monotonic() > until:
                    break
        except FAILURES as failure:
            error = failure
        self.post(lambda: self._taken(conversation, stream, items, error))

    def _taken(
        self, conversation: Conversation, stream: Generated, items: list[Any], error: BaseException | None
    ) -> None:
        if conversation.frozen:  # what is packed must not change
            self.call_at(time.monotonic() + 0.01, lambda: self._taken(conversation, stream, items, error))
            return
        conversation.advanced(stream, items, error)
        if not conversation.gone:
            self.turn(conversation)

    def _finish(self, conversation: Conversation) -> None:
        """Send the last words, then wait a little for the peer to have read them: a close with unread input would
        destroy them."""
        if len(conversation.wire.outbox):
            self._watch_as(conversation, OUT)
            return
        if conversation.lingering:
            return
        conversation.lingering = True
        with contextlib.suppress(OSError):
            conversation.sock.shutdown(sockets.SHUT_WR)
        self._watch_as(conversation, IN)
        self.call_at(time.monotonic() + LINGER_S, lambda: self.drop(conversation))

    def _watch_as(self, conversation: Conversation, mask: int) -> None:
        if mask != conversation.mask:
            conversation.mask = mask
            self.watch(conversation, mask)


class Bridged:
    """An async iterator as a plain one, with an event loop of its own that threads use one after the other."""

    def __init__(self, items: AsyncIterator[Any]) -> None:
        self._items = items
        self._runner: asyncio.Runner | None = None

    def __next__(self) -> Any:
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            return self._runner.run(self._step())
        except StopAsyncIteration:
            raise StopIteration from None

    def __iter__(self) -> Bridged:
        return self

    def close(self) -> None:
        if self._runner is None:
            self._runner = asyncio.Runner()
        with contextlib.suppress(*FAILURES):
            self._runner.run(self._end())
        self._runner.close()

    async def _step(self) -> Any:
        return await anext(self._items)

    async def _end(self) -> None:
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()


def _size(item: Any) -> int:
    """A guess at what an item will cost, in bytes."""
    return len(item) if isinstance(item, str | bytes | Attachment) else 64


def _nothing(_: Any) -> None:
    return
