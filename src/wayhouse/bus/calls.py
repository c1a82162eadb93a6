"""A client's calls as a pure machine: many under way at once, each with a deadline and attempts of its own.

Called by `client.py` and `async_client.py`. Rules: an answer belongs to the call whose service frame it echoes. Our broker echoes marks
too, so there each attempt has a frame of its own; with others, one call per service is under way at a time, and a connection
whose answer did not come is given up, so that a late answer is never taken for another.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence

import msgspec

from wayhouse.base.errors import TooManyRequestsError
from wayhouse.bus import mdp
from wayhouse.bus.commands import Command, Open, Send
from wayhouse.bus.model import CLIENT_TIMEOUT_S, EXPIRED, Frames, MalformedError

MAX_CALLS = 10_000


class Answered(msgspec.Struct, frozen=True, gc=False):
    """A part of the answer to `call`, or, when `final`, its last one."""

    call: int
    body: Frames
    final: bool


class Unanswered(msgspec.Struct, frozen=True, gc=False):
    """Nobody answered `call` in time."""

    call: int


class _Call:
    __slots__ = (
        "attempt_s",
        "attempts",
        "body",
        "deadline",
        "due",
        "labels",
        "number",
        "once",
        "sent",
        "service",
    )

    def __init__(self, number: int, service: bytes, body: Frames, once: bool) -> None:  # noqa: FBT001 - private
        self.number = number
        self.service = service
        self.body = body
        self.once = once
        self.attempts = 0
        self.attempt_s = 0.0
        self.deadline = 0.0
        self.due = 0.0
        self.labels: list[bytes] = []
        self.sent = False


class Calls:
    """`marks`: the broker is ours. `version`: of MDP, 1 or 2 for 0.1 and 0.2."""

    def __init__(self, *, marks: bool = True, version: int = mdp.V01, max_calls: int = MAX_CALLS) -> None:
        self._marks = marks
        self._version = version
        self._max_calls = max_calls
        self._calls: dict[int, _Call] = {}
        self._by_label: dict[bytes, _Call] = {}
        self._waiting: dict[bytes, deque[_Call]] = {}
        self._queue: list[tuple[float, int]] = []
        self._last = 0
        self._heard_at = 0.0
        self._tokens = 0
        self._outbox: list[Command] = [Open()]
        self._events: list[Answered | Unanswered] = []
        self.ignored = 0

    def __len__(self) -> int:
        return len(self._calls)

    def start(
        self,
        service: bytes,
        body: Sequence[bytes],
        now: float,
        *,
        attempt_s: float = CLIENT_TIMEOUT_S,
        attempts: int = 3,
        deadline: float | None = None,
        once: bool = False,
    ) -> int:
        """Gives the call's number. Sent up to `attempts` times, `attempt_s` apart; `once`: a single time. It ends at `deadline`, or
        with the last attempt. Raises `MalformedError` for a name that cannot be sent, `TooManyRequestsError`."""
        if len(self._calls) >= self._max_calls:
            raise TooManyRequestsError(f"{self._max_calls} calls are under way: wait for answers.")
        mdp.build_label(service)
        self._last += 1
        call = _Call(self._last, service, list(body), once)
        call.attempts = 1 if once else max(1, attempts)
        call.attempt_s = attempt_s
        call.deadline = deadline if deadline is not None else now + attempt_s * max(1, attempts)
        self._calls[call.number] = call
        self._begin(call, now)
        return call.number

    def cancel(self, number: int, now: float) -> None:
        """Its answer is no longer wanted; where it could be taken for another's, the connection is given up."""
        call = self._calls.get(number)
        if call is None:
            return
        self._forget(call)
        if call.sent and not self._marks:
            self.reopen(now)
            self._next(call.service, now)

    def receive(self, frames: Frames, now: float) -> None:
        self._heard_at = now
        try:
            reply = mdp.parse_reply(frames)
        except MalformedError:
            self.ignored += 1
            return
        call = self._by_label.get(reply.service)
        if call is None:
            self.ignored += 1
            return
        if self._marks and call.attempts > 0 and _is_expired(reply.body):
            return  # it found no worker in time; the next attempt may
        self._events.append(Answered(call.number, reply.body, reply.final))
        if reply.final:
            self._forget(call)
            self._next(call.service, now)
        else:
            call.due = min(call.deadline, now + call.attempt_s)  # it is being answered
            heapq.heappush(self._queue, (call.due, call.number))

    def outbox(self) -> list[Command]:
        out, self._outbox = self._outbox, []
        return out

    def events(self) -> list[Answered | Unanswered]:
        found, self._events = self._events, []
        return found

    def deadline(self) -> float | None:
        while self._queue:
            due, number = self._queue[0]
            call = self._calls.get(number)
            if call is not None and call.due == due:
                return due
            heapq.heappop(self._queue)
        return None

    def reopen(self, now: float) -> None:
        """A new connection; what is under way is asked again on it, except what may be asked only once."""
        self._outbox.append(Open())
        for call in tuple(self._calls.values()):
            if call.sent and not call.once:
                self._send(call)

    def tick(self, now: float) -> None:
        reopen = False
        while (due := self.deadline()) is not None and due <= now:
            _, number = heapq.heappop(self._queue)
            reopen |= self._overdue(self._calls[number], now)
        if reopen:
            self.reopen(now)

    def _overdue(self, call: _Call, now: float) -> bool:
        """Whether the connection is to be given up: another broker's, or one where nothing was heard for an attempt."""
        was_sent = call.sent
        is_silent = was_sent and (not self._marks or self._heard_at <= now - call.attempt_s)
        if now >= call.deadline or (was_sent and call.attempts == 0 and not call.once):
            self._forget(call)
            self._events.append(Unanswered(call.number))
            self._next(call.service, now)
        elif not was_sent or call.once or call.attempts == 0:
            self._alarm(call, call.deadline)
        else:
            call.attempts -= 1
            self._alarm(call, min(call.deadline, now + call.attempt_s))
            if not is_silent:
                self._send(call)
        return is_silent

    def _begin(self, call: _Call, now: float) -> None:
        if not self._marks and call.service in self._by_label:
            self._waiting.setdefault(call.service, deque()).append(call)
            self._alarm(call, call.deadline)
            return
        call.attempts -= 1
        call.sent = True
        self._alarm(call, min(call.deadline, now + call.attempt_s))
        self._send(call)

    def _next(self, service: bytes, now: float) -> None:
        queue = self._waiting.get(service)
        while queue:
            call = queue.popleft()
            if call.number in self._calls:
                self._begin(call, now)
                return
        self._waiting.pop(service, None)

    def _send(self, call: _Call) -> None:
        label = self._label(call)
        if label not in self._by_label:
            call.labels.append(label)
            self._by_label[label] = call
        self._outbox.append(Send(mdp.build_request(label, call.body, self._version)))

    def _label(self, call: _Call) -> bytes:
        """With our broker, unlike any other: the digits behind the milliseconds of its ttl are a running number."""
        if not self._marks:
            return call.service
        self._tokens = self._tokens % 999_999 + 1
        ttl = b"ttl=%d.%03d%06d" % (*divmod(max(1, round(call.attempt_s * 1000)), 1000), self._tokens)
        return mdp.MARK.join([call.service, *([b"once"] if call.once else []), ttl])

    def _alarm(self, call: _Call, when: float) -> None:
        call.due = when
        heapq.heappush(self._queue, (when, call.number))

    def _forget(self, call: _Call) -> None:
        del self._calls[call.number]
        for label in call.labels:
            del self._by_label[label]


def _is_expired(body: Frames) -> bool:
    return len(body) == 3 and body[0] == body[2] and body[1].startswith(EXPIRED + b":")
