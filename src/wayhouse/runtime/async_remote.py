"""`AsyncRemote`: call the methods of a server from asyncio, any number at once over one connection.

Called by daemons. Rules: a call that is given up, by its timeout or by cancelling its task, is cancelled at the server; on the
old wire, which cannot say so, the connection ends. What `RemoteControl` promises about deadlines holds here too.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket as sockets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self

import msgspec

from wayhouse.runtime.deadline import Deadline
from wayhouse.runtime.exceptions import (
    ConnectionClosed,
    ConnectionRefused,
    ConnectionTimeout,
    exception_factory,
)
from wayhouse.runtime.remote import CREDIT, remote_exception
from wayhouse.runtime.rpc.async_stream import AsyncStream
from wayhouse.runtime.rpc.frames import LIMIT
from wayhouse.runtime.rpc.messages import Answer
from wayhouse.runtime.rpc.remote_stream import Notification
from wayhouse.runtime.rpc.serving import time_left
from wayhouse.runtime.rpc.stream_sockets import Address, checked_address, new_socket, socket_address, tune
from wayhouse.runtime.rpc.transport import READ_AT_ONCE, receive, send_some
from wayhouse.runtime.rpc.wire import ClientEvent, ClientWire, End, Goodbye, Item, Lost, Ready

RETRY_S = 0.1


class AsyncRemote:
    """`async with AsyncRemote(("127.0.0.1", 4000), "key") as remote: await remote.add(1, 2)`.

    Arguments and exceptions are those of `RemoteControl`; `call` takes the timeout of one call as `__timeout__`.
    """

    def __init__(
        self,
        address: Address,
        authkey: str | None = None,
        timeout: float | None = None,
        *,
        optimist: bool = False,
        wire: int | None = None,
        limit: int = LIMIT,
        descriptors: bool = False,
        profile: Any = None,
    ) -> None:
        self.address = checked_address(address)
        self.timeout = timeout or None
        self.optimist = optimist
        self.profile = profile
        self.authenticated = False
        self._wire = ClientWire(
            authkey, nonce=os.urandom(16), wire=wire, limit=limit, descriptors=descriptors
        )
        self._view = memoryview(bytearray(READ_AT_ONCE))
        self._sock: sockets.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._order: deque[asyncio.Future[Any]] = deque()
        self._streams: dict[int, AsyncStream] = {}
        self._ready: asyncio.Future[None] | None = None
        self._flushing = False
        self._writing = False

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(f"RPC names do not start with an underscore: {name}")
        return functools.partial(self.call, name)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    @property
    def wire(self) -> int:
        return self._wire.version

    async def connect(self) -> None:
        """Raises `ConnectionRefused`, `ConnectionTimeout`, `ConnectionClosed`."""
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(time_left(self.timeout)):
                self._sock = await self._connected()
                self._ready = self._loop.create_future()
                self._loop.add_reader(self._sock.fileno(), self._readable)
                await self._ready
        except TimeoutError:
            self.close()
            raise ConnectionTimeout from None

    def close(self) -> None:
        """Whoever still waits for an answer gets `ConnectionClosed`."""
        self._lose(ConnectionClosed())

    async def call(self, method: str, /, *vargs: Any, **kwargs: Any) -> Any:
        """Call `method`; with `__async__=True` no answer is waited for."""
        silent = bool(kwargs.pop("__async__", False))
        deadline = Deadline(time_left(kwargs.pop("__timeout__", None) or self.timeout))
        loop = self._demand()
        number = self._wire.call(
            method, vargs, kwargs, ms=deadline.left_ms() or 0, silent=silent, resource=self.profile
        )
        self._flush_soon()
        if silent:
            return None
        answer: asyncio.Future[Any] = loop.create_future()
        if number:
            self._answers[number] = answer
        else:
            self._order.append(answer)
        return await self._wait(answer, number, deadline)

    def stream(self, method: str, /, *vargs: Any, **kwargs: Any) -> AsyncStream:
        """Call a method that yields: `async for item in remote.stream("count", 3)`."""
        self._demand()
        number = self._wire.call(method, vargs, kwargs, stream=CREDIT, resource=self.profile)
        stream = AsyncStream(number, CREDIT, self._grant, self._end_stream)
        self._streams[number] = stream
        self._flush_soon()
        return stream

    async def subscribe(self, *topics: str) -> AsyncIterator[Notification]:
        """The messages of some topics, from now on."""
        async with self.stream("SUBSCRIBE", *topics) as stream:
            async for value in stream:
                yield Notification.of(value)

    async def _wait(self, answer: asyncio.Future[Any], number: int, deadline: Deadline) -> Any:
        loop = self._demand()
        left = deadline.left_s()
        timer = loop.call_later(left, _time_out, answer) if left is not None else None
        try:
            return await answer
        except (ConnectionTimeout, asyncio.CancelledError):
            self._give_up(number)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _give_up(self, number: int) -> None:
        if not number:
            self.close()
        elif self._answers.pop(number, None) is not None and self._sock is not None:
            self._wire.cancel(number)
            self._flush_soon()

    async def _connected(self) -> sockets.socket:
        loop = asyncio.get_running_loop()
        while True:
            sock = new_socket(self.address)
            try:
                await loop.sock_connect(sock, socket_address(self.address))
            except OSError as error:
                sock.close()
                if not self.optimist:
                    raise ConnectionRefused(error.strerror or "connection refused") from error
                await asyncio.sleep(RETRY_S)
            except BaseException:
                sock.close()
                raise
            else:
                tune(sock)
                return sock

    def _demand(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._sock is None:
            raise ConnectionClosed
        return self._loop

    def _flush_soon(self) -> None:
        """Once per turn of the loop, so that calls made together travel together."""
        if not self._flushing and not self._writing and self._loop is not None:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._sock is None or self._loop is None:
            return
        try:
            done = not len(self._wire.outbox) or send_some(self._sock, self._wire.outbox)
        except OSError:
            return  # the reader finds out, and may find last words
        if not done and not self._writing:
            self._writing = True
            self._loop.add_writer(self._sock.fileno(), self._flush)
        elif done and self._writing:
            self._writing = False
            self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        sock = self._sock
        if sock is None:
            return
        try:
            alive = receive(sock, self._wire, self._view)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            alive = False
        if not alive:
            self._lose(ConnectionClosed())
            return
        while self._sock is not None and (event := self._wire.next()) is not None:
            self._event(event)
        if len(self._wire.outbox):
            self._flush_soon()

    def _event(self, event: ClientEvent) -> None:
        if type(event) is Answer:
            self._answer(event)
        elif isinstance(event, Item | End):
            self._to_stream(event)
        elif isinstance(event, Ready):
            self.authenticated = event.authenticated
            if self._ready is not None and not self._ready.done():
                self._ready.set_result(None)
        elif isinstance(event, Goodbye):
            self._lose(exception_factory(event.exception))
        elif isinstance(event, Lost):
            self._lose(ConnectionClosed(event.why))

    def _answer(self, event: Answer) -> None:
        if event.id in self._streams:
            self._to_stream(event)
            return
        if event.id:
            answer = self._answers.pop(event.id, None)
        elif self._order:
            answer = self._order.popleft()
        else:
            failed = event.exception is not msgspec.UNSET
            self._lose(exception_factory(event.exception) if failed else ConnectionClosed())
            return
        if answer is None or answer.done():
            return
        if event.exception is msgspec.UNSET:
            answer.set_result(event.result)
        else:
            answer.set_exception(remote_exception(event.exception))

    def _to_stream(self, event: Item | End | Answer) -> None:
        stream = self._streams.get(event.id)
        if stream is not None:
            if not isinstance(event, Item):
                del self._streams[event.id]
            stream.put(event)

    def _grant(self, number: int, count: int) -> None:
        if number in self._streams and self._sock is not None:
            self._wire.credit(number, count)
            self._flush_soon()

    def _end_stream(self, number: int) -> None:
        if self._streams.pop(number, None) is not None and self._sock is not None:
            self._wire.cancel(number)
            self._flush_soon()

    def _lose(self, error: Exception) -> None:
        sock, self._sock = self._sock, None
        if sock is not None and self._loop is not None:
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())
            with contextlib.suppress(OSError):
                send_some(sock, self._wire.outbox)
            sock.close()
            self._wire.close()
        waiting = [*self._answers.values(), *self._order, *([self._ready] if self._ready else [])]
        self._answers.clear()
        self._order.clear()
        for answer in waiting:
            if not answer.done():
                answer.set_exception(error)
        for stream in list(self._streams.values()):
            stream.fail(error)
        self._streams.clear()


def _time_out(answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(ConnectionTimeout())
