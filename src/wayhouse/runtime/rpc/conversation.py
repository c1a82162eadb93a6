"""One client being served: takes its calls from the machine, runs or defers them, gives the answers back to the machine.

Called by an engine (`epoll_engine.py`, `async_engine.py`), which owns the socket. Rules: wire v0 is answered in order, one call at
a time; a client that does not read its answers is not read from; what one client does never fails or holds another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wayhouse.runtime.exceptions import Exit
from wayhouse.runtime.rpc import methods, outcome
from wayhouse.runtime.rpc.coerce import NOT_JSON
from wayhouse.runtime.rpc.messages import Call, Cancel, Credit
from wayhouse.runtime.rpc.methods import Caller, Row
from wayhouse.runtime.rpc.parts import Descriptor
from wayhouse.runtime.rpc.running import Engine, Running
from wayhouse.runtime.rpc.serving import Serving
from wayhouse.runtime.rpc.streams import DONE, NOTHING, Generated, Stream, Subscription
from wayhouse.runtime.rpc.wire import Broken, Opened, ServerEvent, ServerWire
from wayhouse.runtime.supervision import usual

if TYPE_CHECKING:
    from wayhouse.runtime.rpc.service import Service

HIGH_WATER = 1024 * 1024
"""Bytes of answers waiting, above which a client is not listened to."""
MAX_DEFERRED = 256
"""Calls of one client under way at once, above which it is not listened to."""
MAX_STREAMS = 256
BATCH = 64
"""Items of one stream that are sent before others get their turn."""

FAILURES = usual.FAILURES
_clock = time.perf_counter_ns


class Conversation:
    """`work` does all that can be done now; the engine calls it after bytes came or went."""

    __slots__ = (
        "_deferred_keys",
        "backlog",
        "caller",
        "closing",
        "connection",
        "deferred",
        "engine",
        "frozen",
        "gone",
        "lingering",
        "mask",
        "peer",
        "queued",
        "rows",
        "service",
        "serving",
        "sock",
        "streams",
        "watched",
        "wire",
    )

    def __init__(self, service: Service, engine: Engine, wire: ServerWire, serving: Serving) -> None:
        self.service = service
        self.engine = engine
        self.wire = wire
        self.serving = serving
        self.caller = Caller(wire.key, wire.account)
        self.deferred: dict[int, Running] = {}
        self.streams: dict[int, Stream] = {}
        self.backlog = False
        self.closing = False
        self.frozen = False
        self.gone = False
        self.lingering = False
        self.queued = False
        self.mask = 0
        self.watched = 0
        self.sock: Any = None
        self.peer: Any = None
        self.connection: Any = None
        self.rows: dict[str, Row] = {}
        self._deferred_keys = 0

    @property
    def held(self) -> bool:
        """Whether no further call may be taken at the moment."""
        if self.closing or self.frozen or self.gone:
            return True
        outbox = self.wire.outbox
        if len(outbox.out) > HIGH_WATER or (outbox.chunks and len(outbox) > HIGH_WATER):
            return True
        return bool(self.deferred) and (self.wire.version == 0 or len(self.deferred) >= MAX_DEFERRED)

    @property
    def quiet(self) -> bool:
        """Whether no call runs for this client (streams apart, which end at a hand-over)."""
        return not self.deferred

    def work(self) -> None:
        """Serve every call that has come and may be served."""
        wire = self.wire
        frames, serving = wire.frames, self.serving
        serving.conversation = self
        begun = _clock()
        self.backlog = False
        while frames.pos != frames.end:
            if self.held:
                self.backlog = True
                break
            if wire.version:
                here = frames.pos
                begun = usual.serve(self, begun)
                if frames.pos != here:
                    continue
            event = wire.next()
            if event is None:
                break
            if type(event) is Call:
                begun = self._call(event, begun)
            else:
                self._event(event)
        if self.backlog:
            wire.settle()
        serving.call = None
        if self.streams:
            self.pump()

    def pump(self) -> None:
        """Send items of the streams that have credit."""
        for stream in list(self.streams.values()):
            if not stream.busy:
                self._pump(stream)

    def finish(self, running: Running, result: Any, error: BaseException | None) -> None:
        """A deferred call is over; the engine then calls `work`."""
        if self.deferred.get(running.key) is running:
            del self.deferred[running.key]
        self._count(running.row, running.begun, error)
        if running.over or self.gone:
            return
        running.over = True
        self._answer(running.call, result, error)

    def expire(self, key: int) -> None:
        """The deadline of a deferred call is over: answer, and forget what comes later."""
        running = self.deferred.get(key)
        if running is None or running.over:
            return
        running.over = True
        self._abandon(running)
        if not running.call.silent:
            self.wire.exception(running.call.id, _too_late(running.call))

    def item(self, stream: Stream, value: Any) -> bool:
        """Send one item; whether the stream goes on."""
        outbox = self.wire.outbox
        before = len(outbox)
        try:
            self.wire.item(stream.id, value)
        except (TypeError, ValueError, RecursionError):
            self.end(stream, error={"type": "Exception", "message": NOT_JSON, "trace": []})
            return False
        stream.credit -= len(outbox) - before
        return True

    def end(self, stream: Stream, error: Any = None) -> None:
        """The stream is over; `error` is the object of an exception."""
        if self.streams.get(stream.id) is stream:
            del self.streams[stream.id]
        self._close(stream)
        if error is None:
            self.wire.end(stream.id)
        else:
            self.wire.exception(stream.id, error)

    def may_send(self, stream: Stream) -> bool:
        return stream.credit > 0 and not self.frozen and len(self.wire.outbox) < HIGH_WATER

    def advanced(self, stream: Generated, items: list[Any], error: BaseException | None) -> None:
        """A thread has taken `items` of a stream, `DONE` among them at its end."""
        stream.busy = False
        if stream.closed or self.gone:
            self._close(stream)
            return
        for item in items:
            if item is DONE:
                self.end(stream)
                return
            if not self.item(stream, item):
                return
        if error is not None:
            self.end(stream, outcome.details_of(error))

    def leave(self) -> None:
        """The client is gone: nothing that runs for it is wanted."""
        self.gone = True
        for running in list(self.deferred.values()):
            running.over = True
            self._abandon(running)
        self.deferred.clear()
        for stream in self.streams.values():
            self._close(stream)
        self.streams.clear()
        self.wire.close()

    def set_caller(self, caller: Caller) -> None:
        self.caller = caller
        self.rows = {}

    def _call(self, call: Call, begun: int) -> int:
        row = self.rows.get(call.method) or self._admit(call)
        if row is None:
            return begun
        params = call.params
        if params is None:
            return self._refuse(call, f"malformed arguments: {call.bad_params}", begun)
        if not row.direct:
            self._start(call, row)
            return _clock()
        serving = self.serving
        serving.call = call
        serving.deadline = time.monotonic() + call.ms / 1000 if call.ms else 0.0
        try:
            result = row.function(*params.vargs, **params.kwargs)
        except FAILURES as failure:
            row.stat.errors += 1
            self.fail(call, failure)
        else:
            if not call.silent:
                self.wire.result(call.id, result)
        if call.fds:
            _close_received(call)
        now = _clock()
        row.stat.add(now - begun)
        return now

    def _admit(self, call: Call) -> Row | None:
        """The row of a call that this client may make; else the refusal is sent. Found once for each name."""
        row, text = self.service.find(call, self.caller)
        if row is None:
            self._refuse(call, text, 0)
            return None
        self.rows[call.method] = row
        return row

    def _refuse(self, call: Call, text: str, begun: int) -> int:
        self.service.refused += 1
        if not call.silent:
            self.wire.exception(call.id, text)
        return begun

    def _event(self, event: ServerEvent) -> None:
        if isinstance(event, Opened):
            self.set_caller(Caller(event.key, event.account))
            self.engine.opened(self)
        elif isinstance(event, Broken):
            self.closing = True
        elif isinstance(event, Credit):
            stream = self.streams.get(event.id)
            if stream is not None:
                stream.credit = min(stream.credit + event.bytes, 2**53)
        elif isinstance(event, Cancel):
            self._cancel(event.id)

    def _cancel(self, number: int) -> None:
        for running in list(self.deferred.values()):
            if running.call.id == number:
                running.over = True
                self._abandon(running)
        stream = self.streams.pop(number, None)
        if stream is not None:
            self._close(stream)

    def _start(self, call: Call, row: Row) -> None:
        if row.kind in {methods.STREAM, methods.ASYNC_STREAM}:
            self._start_stream(call, row)
            return
        self._deferred_keys += 1
        running = Running(call, row, self._deferred_keys, self._serving_of(call))
        self.deferred[running.key] = running
        if running.serving.deadline:
            self.engine.expire_at(running.serving.deadline, self, running.key)
        self.engine.defer(self, running)

    def _start_stream(self, call: Call, row: Row) -> None:
        params = call.params
        if not call.stream or not call.id or call.silent or params is None:
            self._refuse(call, f"{row.name} is a stream: call it with stream()", 0)
        elif call.id in self.streams or len(self.streams) >= MAX_STREAMS:
            self._refuse(call, "there are too many streams, or this number is taken", 0)
        else:
            try:
                self._open_stream(call, row)
            except FAILURES as failure:
                self._count(row, _clock(), failure)
                self.fail(call, failure)

    def _open_stream(self, call: Call, row: Row) -> None:
        assert call.params is not None  # noqa: S101 - checked by the caller
        self.serving.conversation, self.serving.call, self.serving.deadline = self, call, 0.0
        found = row.function(*call.params.vargs, **call.params.kwargs)
        if isinstance(found, frozenset):
            stream: Stream = Subscription(call, found)
        else:
            elsewhere = row.threaded or row.kind == methods.ASYNC_STREAM
            stream = Generated(call, found, threaded=elsewhere)
        self.streams[call.id] = stream
        row.stat.add(0)

    def _pump(self, stream: Stream) -> None:
        if isinstance(stream, Generated) and stream.threaded:
            if self.may_send(stream):
                stream.busy = True
                self.engine.advance(self, stream)
            return
        for _ in range(BATCH):
            if not self.may_send(stream):
                return
            try:
                value = stream.take()
            except FAILURES as failure:
                self.end(stream, outcome.details_of(failure, skip=2))
                return
            if value is NOTHING:
                return
            if value is DONE:
                self.end(stream)
                return
            if not self.item(stream, value):
                return
        self.engine.soon(self)

    def _serving_of(self, call: Call) -> Serving:
        serving = Serving()
        serving.conversation = self
        serving.call = call
        serving.deadline = time.monotonic() + call.ms / 1000 if call.ms else 0.0
        return serving

    def _answer(self, call: Call, result: Any, error: BaseException | None) -> None:
        if error is not None:
            self.fail(call, error)
        elif not call.silent:
            self.wire.result(call.id, result)
        if call.fds:
            _close_received(call)

    def fail(self, call: Call, error: BaseException) -> None:
        if isinstance(error, Exit):
            if not call.silent:
                self.wire.exception(call.id, dict(error.details))
            self.closing = True
            self.engine.exit(error)
        elif not call.silent:
            self.wire.exception(call.id, outcome.details_of(error))

    def _close(self, stream: Stream) -> None:
        """A method's own clean-up may fail; nobody is left to be told."""
        try:
            stream.close()
        except FAILURES:
            stream.closed = True
        if isinstance(stream, Generated):
            self.engine.stream_closed(stream)

    def _count(self, row: Row, begun: int, error: BaseException | None) -> None:
        row.stat.add(_clock() - begun)
        if error is not None:
            row.stat.errors += 1

    def _abandon(self, running: Running) -> None:
        running.serving.cancelled = True
        cancel: Callable[[], Any] | None = getattr(running.handle, "cancel", None)
        if cancel is not None and cancel() and self.deferred.get(running.key) is running:
            del self.deferred[running.key]


def _too_late(call: Call) -> dict[str, Any]:
    text = f"{call.method} took longer than the {call.ms} ms that its caller waits"
    return {"type": "Timeout", "message": text, "trace": [], "deadline": True}


def _close_received(call: Call) -> None:
    """Descriptors that the method did not `detach` end with the call."""
    params = call.params
    if params is None:
        return
    for value in (*params.vargs, *params.kwargs.values()):
        if isinstance(value, Descriptor):
            value.close()
