"""`RemoteControl`: call the methods of a server as if they were here, and wait for each answer.

Called by every synchronous client. Rules: one deadline covers a whole call; it travels with the call, and never exceeds what is
left of the call on whose behalf it is made; after a timeout the next answer is that of the next call. Threads may share one.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket as sockets
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import msgspec
from msgspec import UNSET

from wayhouse.runtime.deadline import Deadline
from wayhouse.runtime.exceptions import ConnectionClosed, ConnectionTimeout, exception_factory
from wayhouse.runtime.rpc.blocking import BlockingConnection
from wayhouse.runtime.rpc.channel import FOREVER, Channel, Ended
from wayhouse.runtime.rpc.frames import LIMIT
from wayhouse.runtime.rpc.messages import Answer, Params, RequestV0
from wayhouse.runtime.rpc.pipelines import Pending, Pipeline
from wayhouse.runtime.rpc.remote_stream import Notification, RemoteStream
from wayhouse.runtime.rpc.serving import serving, time_left
from wayhouse.runtime.rpc.stream_sockets import Address
from wayhouse.runtime.rpc.wire import ClientEvent, ClientWire, End, Goodbye, Item, Lost, Ready
from wayhouse.runtime.supervision import usual

ASYNC_S = 1.0
"""How long a call whose answer is not wanted may wait to connect and to be sent."""
WINDOW = 256
"""Calls of a pipeline that are under way at once."""
WINDOW_BYTES = 256 * 1024
CREDIT = 256 * 1024


class RemoteControl:
    """`address` is `(host, port)` or the path of a UNIX socket; `timeout` in seconds, 0 and None mean for ever.

    Any other attribute is a method of the server: `remote.add(1, 2)`. Use `call("close")` for one that is named like an attribute
    here. Raises what the server answers (`AveException` and its kinds), `ConnectionTimeout`, `ConnectionClosed`,
    `ConnectionRefused`. `wire=0` never offers the modern wire, `wire=1` accepts nothing else. `descriptors`: be ready to pass
    open descriptors, over a UNIX socket.
    """

    def __init__(  # noqa: PLR0913 - the manual's signature, and more by name alone
        self,
        address: Address | None,
        authkey: str | None = None,
        timeout: float | None = None,
        optimist: bool = True,  # noqa: FBT001, FBT002 - the manual's signature
        sock: sockets.socket | None = None,
        profile: Any = None,
        home: str | None = None,
        *,
        wire: int | None = None,
        limit: int = LIMIT,
        descriptors: bool = False,
    ) -> None:
        self.address = address
        self.authkey = authkey
        self.timeout = timeout or None
        self.optimist = optimist
        self.profile = profile
        self.home = home
        self.authenticated = False
        self._wanted_wire = wire
        self._limit = limit
        self._descriptors = descriptors
        self._sock = sock
        self._channel: Channel | None = None
        self._closed = False
        self._streams: dict[int, deque[ClientEvent]] = {}
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(f"RPC names do not start with an underscore: {name}")
        return functools.partial(self.call, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if "_lock" in self.__dict__:
            self.close()

    @property
    def port(self) -> int:
        """0 for UNIX sockets."""
        if isinstance(self.address, tuple):
            return self.address[1]
        name = self._sock.getsockname() if self._sock is not None else ""
        return int(name[1]) if isinstance(name, tuple) else 0

    @property
    def wire(self) -> int:
        """Which wire is spoken; connects if that did not happen yet."""
        return self._ready(self._deadline()).wire.version

    @staticmethod
    def make_rpc_blob(method: str, resource: Any, *vargs: Any, **kwargs: Any) -> str:
        """The JSON of a call on wire v0."""
        silent = bool(kwargs.pop("__async__", False))
        return msgspec.json.encode(RequestV0(method, resource, Params(list(vargs), kwargs), silent)).decode()

    def connect(self, timeout: float | None = None) -> None:
        """Connect now, anew if the connection was lost. Raises `ConnectionRefused`, `ConnectionTimeout`."""
        with self._lock:
            if self._closed and self.address is not None:
                self._closed = False
                self._sock = None
            self._ready(Deadline(time_left(timeout or self.timeout)))

    def close(self) -> None:
        self._closed = True
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        elif self._sock is not None:
            self._sock.close()
        self._streams.clear()

    def call(self, method: str, /, *vargs: Any, **kwargs: Any) -> Any:
        """Call `method`; with `__async__=True` no answer is waited for."""
        silent = bool(kwargs.pop("__async__", False)) if kwargs else False
        with self._lock:
            try:
                return self._silent(method, vargs, kwargs) if silent else self._call(method, vargs, kwargs)
            except Ended as ended:
                raise self._over(ended.event) from None
            except ConnectionClosed:
                self.close()
                raise

    def stream(self, method: str, /, *vargs: Any, **kwargs: Any) -> RemoteStream:
        """Call a method that yields; its items come as fast as they are taken. Close it to stop early."""
        with self._lock:
            deadline = self._deadline()
            channel = self._ready(deadline)
            number = channel.wire.call(method, vargs, kwargs, stream=CREDIT, resource=self.profile)
            self._streams[number] = deque()
            channel.send(deadline)
        return RemoteStream(self, number, CREDIT)

    def subscribe(self, *topics: str) -> RemoteStream:
        """The messages of some topics, from now on; close the stream to stop."""
        return self.stream("SUBSCRIBE", *topics).converting(Notification.of)

    def take_item(self, number: int) -> ClientEvent:
        """The next event of a stream; called by `RemoteStream`."""
        with self._lock:
            deadline = self._deadline()
            try:
                queue = self._streams.get(number)
                while queue is not None and not queue:
                    self._aside(self._ready(deadline).event(deadline))
            except Ended as ended:
                raise self._over(ended.event) from None
            except ConnectionClosed:
                self.close()
                raise
            if queue is None:
                raise ConnectionClosed
            return queue.popleft()

    def grant(self, number: int, count: int) -> None:
        """`count` bytes more of a stream; called by `RemoteStream`."""
        with self._lock:
            deadline = self._deadline()
            channel = self._ready(deadline)
            channel.wire.credit(number, count)
            channel.send(deadline)

    def end_stream(self, number: int, *, cancel: bool = False) -> None:
        with self._lock:
            if self._streams.pop(number, None) is not None and cancel and self._channel is not None:
                self._forget(number)

    def pipeline(self) -> Pipeline:
        """Calls that are sent together: `with remote.pipeline() as p: a = p.add(1, 2)`, and then `a.result()`."""
        return Pipeline(self)

    def many(self, method: str, arguments: Iterable[Sequence[Any]]) -> list[Any]:
        """One call for each of `arguments`, sent together; their results in order. Raises the first exception."""
        calls = [Pending(method, tuple(vargs)) for vargs in arguments]
        self.run_many(calls)
        return [call.value if call.error is None else call.result() for call in calls]

    def run_many(self, calls: Sequence[Pending]) -> None:
        """Send all and take all answers. After a failure those without an answer are cancelled."""
        with self._lock:
            deadline = self._deadline()
            channel = self._ready(deadline)
            first = channel.wire.last_id + 1
            try:
                self._exchange(calls, channel, first, deadline)
            except Ended as ended:
                raise self._over(ended.event) from None
            except ConnectionClosed:
                self.close()
                raise
            except BaseException:
                self._give_up(calls, first)
                raise

    def _exchange(self, calls: Sequence[Pending], channel: Channel, first: int, deadline: Deadline) -> None:
        sent = done = 0
        wire = channel.wire
        while done < len(calls):
            if sent < len(calls) and sent - done <= WINDOW // 2:
                sent = self._queue(calls, sent, done + WINDOW, deadline)
                channel.send(deadline)
            before = done
            done += usual.collect(wire, calls, first)
            while (event := channel.ready()) is not None:
                number = event.id if isinstance(event, Answer) else 0
                done += self._settle(event, calls, number - first if number else done)
                done += usual.collect(wire, calls, first)
            if done == before:
                channel.fill(deadline)

    def _queue(self, calls: Sequence[Pending], start: int, end: int, deadline: Deadline) -> int:
        """Queue the calls from `start` on; the index of the first that has to wait."""
        wire = self._ready(deadline).wire
        ms = deadline.left_ms() or 0
        end = min(end, len(calls))
        index = start
        while index < end and len(wire.outbox) < WINDOW_BYTES:
            here = index
            if self.profile is None:
                index = usual.queue(wire, calls, here, end, ms)
            if index == here:
                one = calls[index]
                wire.call(one.method, one.vargs, one.kwargs, ms=ms, resource=self.profile)
                index += 1
        return index

    def _settle(self, event: ClientEvent, calls: Sequence[Pending], index: int) -> int:
        """What is not the plain result of a numbered call; how many of `calls` (0 or 1) it has settled."""
        if not isinstance(event, Answer) or not 0 <= index < len(calls) or calls[index].finished:
            self._aside(event)
            return 0
        if event.exception is UNSET:
            calls[index].settle(event.result)
        else:
            calls[index].fail(remote_exception(event.exception))
        return 1

    def _call(self, method: str, vargs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        deadline = self._deadline()
        channel = self._channel or self._ready(deadline)
        ms = 0 if deadline is FOREVER else deadline.left_ms() or 0
        number = channel.wire.call(method, vargs, kwargs, ms=ms, resource=self.profile)
        try:
            channel.send(deadline)
            event = channel.answer(number, deadline)
            while type(event) is not Answer or event.id != number:
                self._aside(event)
                event = channel.event(deadline)
        except (ConnectionTimeout, KeyboardInterrupt):
            self._forget(number)
            raise
        if event.exception is UNSET:
            return event.result
        raise remote_exception(event.exception)

    def _silent(self, method: str, vargs: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        deadline = Deadline(time_left(ASYNC_S))
        channel = self._ready(deadline)
        channel.wire.call(method, vargs, kwargs, silent=True, resource=self.profile)
        channel.send(deadline)

    def _deadline(self) -> Deadline:
        if self.timeout is None and serving.get() is None:
            return FOREVER
        left = time_left(self.timeout)
        return FOREVER if left is None else Deadline(left)

    def _ready(self, deadline: Deadline) -> Channel:
        """The channel, connected and past the handshake."""
        if self._channel is not None:
            return self._channel
        if self._closed:
            raise ConnectionClosed
        sock = self._sock
        if sock is None:
            connection = BlockingConnection(self.address)
            connection.connect(deadline.left_s(), optimist=self.optimist)
            sock = self._sock = connection.socket
        self._channel = self._greet(sock, deadline)
        return self._channel

    def _greet(self, sock: sockets.socket, deadline: Deadline) -> Channel:
        wire = ClientWire(
            self.authkey,
            nonce=os.urandom(16),
            wire=self._wanted_wire,
            limit=self._limit,
            descriptors=self._descriptors and sock.family == sockets.AF_UNIX,
        )
        channel = Channel(sock, wire)
        try:
            while not wire.opened:
                self._greeted(self._handshake_step(channel, deadline))
        except BaseException:
            self._closed = True
            channel.close()
            raise
        return channel

    def _greeted(self, event: ClientEvent | None) -> None:
        if isinstance(event, Ready):
            self.authenticated = event.authenticated
        elif event is not None:
            raise ConnectionClosed(event.why if isinstance(event, Lost) else "connection closed")

    def _handshake_step(self, channel: Channel, deadline: Deadline) -> ClientEvent | None:
        event = channel.ready()
        channel.send(deadline)
        return event if event is not None or channel.wire.opened else channel.after_reading(deadline)

    def _aside(self, event: ClientEvent) -> None:
        """An event that is not the awaited answer: an item for a stream, an answer that came too late, the end."""
        if isinstance(event, Goodbye | Lost):
            raise Ended(event)
        if isinstance(event, Item | End | Answer):
            queue = self._streams.get(event.id)
            if queue is not None and event.id:
                queue.append(event)
            elif isinstance(event, Answer) and not event.id:
                raise Ended(Lost("an answer came that nobody asked for"))

    def _forget(self, number: int) -> None:
        """The answer of `number` is no longer wanted: on v1 it is dropped when it comes, v0 has to start anew."""
        if number and self._channel is not None:
            self._channel.wire.cancel(number)
            with contextlib.suppress(ConnectionTimeout, ConnectionClosed, Ended):
                self._channel.send(Deadline(0))
        else:
            self.close()

    def _give_up(self, calls: Sequence[Pending], first: int) -> None:
        """Of `calls`, whose ids begin with `first`, some were sent and are not answered."""
        wire = self._channel.wire if self._channel is not None else None
        if wire is None or not wire.version:
            self._forget(0)
            return
        for number in range(first, wire.last_id + 1):
            if not calls[number - first].finished:
                self._forget(number)

    def _over(self, event: Goodbye | Lost) -> Exception:
        self.close()
        if isinstance(event, Goodbye):
            return exception_factory(event.exception)
        return ConnectionClosed(event.why)


def remote_exception(details: Any) -> Exception:
    """What an answer's exception is on this side; a deadline that ended at the server first is the same timeout."""
    if isinstance(details, dict) and details.get("deadline") is True and details.get("type") == "Timeout":
        return ConnectionTimeout()
    return exception_factory(details)
