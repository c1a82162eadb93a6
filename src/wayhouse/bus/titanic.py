"""Dispatch of durable requests, as a machine: which request goes out when, what its answer means, when it is tried again.

Called by `titanic_server`, which keeps the bodies on disk and the sockets. Rules: no I/O, `now` is an argument; a *lane* is a
connection of its own with at most one message under way, since a reply of MDP says nothing about the request it belongs to; a
request goes out only while its service is known to be there (`mmi.service`); requests of a service start in the order in which they
came, `lanes_per_service` at a time, and no service waits for another. A request marked `once` is sent at most once: when its
answer may have been lost it has failed. Any other is sent again, as MDP's workers are idempotent (RFC 7).
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Sequence

import msgspec

from wayhouse.bus import mdp
from wayhouse.bus.model import (
    CLIENT_TIMEOUT_S,
    EXPIRED,
    OK,
    QUEUE_FULL,
    WORKER_LOST,
    Frames,
    refusal_of,
)
from wayhouse.bus.titanic_model import TitanicSettings, Waiting

UNKNOWN_OUTCOME = "The connection was lost after the request was sent once; whether it was done is not known."
TOO_LATE = "The request found no answer before it expired."
SCAN_S = 1.0


class Send(msgspec.Struct, frozen=True, gc=False):
    """Send the stored body of `seq` to `service` on `lane`; `once` is to be noted on disk before."""

    lane: int
    seq: int
    service: bytes
    once: bool


class Ask(msgspec.Struct, frozen=True, gc=False):
    """Ask `mmi.service` for `service` on `lane`."""

    lane: int
    service: bytes


class Drop(msgspec.Struct, frozen=True, gc=False):
    """Close the lane's connection: an answer on it would be mistaken for that of the next request."""

    lane: int


class Answered(msgspec.Struct, frozen=True, gc=False):
    seq: int
    body: Frames


class Failed(msgspec.Struct, frozen=True, gc=False):
    seq: int
    reason: str


class Unsent(msgspec.Struct, frozen=True, gc=False):
    """A request marked `once` was sent, but it is known that no worker got it: the note is void."""

    seq: int


Event = Answered | Failed | Unsent


class _Entry(msgspec.Struct, gc=False):
    seq: int
    service: bytes
    once: bool
    expires: float
    attempts: int = 0
    lane: int = -1


class _Lane(msgspec.Struct, gc=False):
    service: bytes
    seq: int
    """-1: it asks whether the service is there."""
    until: float


class _Service:
    """A service that requests wait for. `there_until`: known to be there until then; `look_at`: not asked for before."""

    __slots__ = ("asking", "flying", "is_ready", "look_at", "name", "open", "pause", "queue", "there_until")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.queue: OrderedDict[int, _Entry] = OrderedDict()
        self.open = 0
        self.flying = 0
        self.asking = False
        self.is_ready = False
        self.there_until = self.look_at = self.pause = 0.0


class Dispatcher:
    """`add` and `forget` requests, `receive` what came on a lane, `tick`; then do what `outbox` says and store `events`."""

    def __init__(self, settings: TitanicSettings | None = None) -> None:
        self._settings = settings or TitanicSettings()
        self.knows_refusals = False
        """Whether the broker answers for workers that it has lost."""
        self.is_held = True
        self._entries: dict[int, _Entry] = {}
        self._services: dict[bytes, _Service] = {}
        self._ready: deque[_Service] = deque()
        self._lanes: dict[int, _Lane] = {}
        self._free = list(range(self._settings.lanes - 1, -1, -1))
        self._timers: list[tuple[float, bytes, int]] = []
        self._expiries: list[tuple[float, int]] = []
        self._next_scan = 0.0
        self._outbox: list[Send | Ask | Drop] = []
        self._events: list[Event] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, seq: int) -> bool:
        return seq in self._entries

    @property
    def is_full(self) -> bool:
        return len(self._entries) >= self._settings.max_open

    @property
    def flying(self) -> int:
        """Lanes in use."""
        return len(self._lanes)

    @property
    def sent(self) -> int:
        """Requests that are with a worker, as far as that can be known."""
        return sum(1 for lane in self._lanes.values() if lane.seq >= 0)

    def attempts(self, seq: int) -> tuple[int, bool] | None:
        """How often a request was sent, and whether it is just now; None for one that does not wait."""
        entry = self._entries.get(seq)
        return None if entry is None else (entry.attempts, entry.lane >= 0)

    def newest(self, limit: int, *, is_sent: bool) -> list[int]:
        """Numbers of those that are with a worker, or of those that are not, newest first."""
        return heapq.nlargest(
            limit, (seq for seq, entry in self._entries.items() if (entry.lane >= 0) is is_sent)
        )

    def add(self, waiting: Waiting) -> None:
        entry = _Entry(waiting.seq, waiting.service, waiting.once, waiting.expires)
        self._entries[entry.seq] = entry
        heapq.heappush(self._expiries, (entry.expires, entry.seq))
        service = self._services.get(entry.service)
        if service is None:
            service = self._services[entry.service] = _Service(entry.service)
        service.open += 1
        service.queue[entry.seq] = entry
        self._make_ready(service)

    def forget(self, seq: int) -> Waiting | None:
        """It was closed: nobody wants the answer any more. What to `add` if that is undone (not a `once` that was sent)."""
        entry = self._entries.get(seq)
        if entry is None:
            return None
        again = None
        if not entry.once or entry.lane < 0:
            again = Waiting(seq, entry.service, entry.once, entry.expires)
        service = self._services[entry.service]
        service.queue.pop(seq, None)
        if entry.lane >= 0:
            self._abandon(entry.lane)
        del self._entries[seq]
        self._left(service)
        if len(self._expiries) > 2 * len(self._entries) + 64:
            self._expiries = [(one.expires, one.seq) for one in self._entries.values()]
            heapq.heapify(self._expiries)
        return again

    def put_back(self, send: Send, now: float) -> None:
        """`send` could not be done (the disk did not take its note, the socket was full)."""
        entry = self._entries.get(send.seq)
        if entry is not None and entry.lane == send.lane:
            self._abandon(send.lane)
            self._retry(entry, now)

    def receive(self, lane: int, service: bytes, body: Sequence[bytes], now: float) -> None:
        """A reply came on `lane`; what does not belong there is ignored."""
        used = self._lanes.get(lane)
        if used is None:
            return
        if used.seq < 0:
            if service == b"mmi.service":
                self._seen(lane, used, is_there=list(body[:1]) == [OK], now=now)
        elif service.partition(mdp.MARK)[0] == used.service:
            self._release(lane)
            self._answered(self._entries[used.seq], list(body), now)

    def go_on(self, *, knows_refusals: bool) -> None:
        """There is a connection, and it is known what the broker can do: begin to send."""
        self.knows_refusals = knows_refusals
        self.is_held = False

    def lose_all(self, now: float) -> None:
        """The connection to the broker broke: no answer will come on any lane. Nothing is sent until `go_on`."""
        self.is_held = True
        again = []
        for lane, used in list(self._lanes.items()):
            entry = self._entries.get(used.seq)
            if entry is None or entry.once:
                self._give_up(lane, used, now)
            else:
                self._abandon(lane)
                again.append(entry)
        for entry in sorted(again, key=lambda entry: -entry.seq):
            self._put_first(entry)
        for service in self._services.values():
            service.there_until = service.look_at = 0.0
            self._make_ready(service)

    def tick(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            self._wake(*heapq.heappop(self._timers)[1:])
        while self._expiries and self._expiries[0][0] <= now:
            _, seq = heapq.heappop(self._expiries)
            if seq in self._entries:
                self._fail(seq, TOO_LATE)
        if now >= self._next_scan:
            self._next_scan = now + SCAN_S
            for lane, used in list(self._lanes.items()):
                if used.until <= now:
                    self._give_up(lane, used, now)
        while self._ready and self._free and not self.is_held:
            service = self._ready.popleft()
            service.is_ready = False
            self._serve(service, now)

    def deadline(self) -> float | None:
        """When `tick` has something to do at the latest."""
        moments = [self._timers[0][0]] if self._timers else []
        if self._expiries:
            moments.append(self._expiries[0][0])
        if self._lanes:
            moments.append(self._next_scan)
        return min(moments, default=None)

    def outbox(self) -> list[Send | Ask | Drop]:
        out, self._outbox = self._outbox, []
        return out

    def events(self) -> list[Event]:
        out, self._events = self._events, []
        return out

    def _serve(self, service: _Service, now: float) -> None:
        """Send one request of `service`, or ask whether it is there."""
        if not service.queue or service.flying >= self._settings.lanes_per_service:
            self._tidy(service)
            return
        if now < service.there_until or service.name.startswith(mdp.MMI_PREFIX):
            _, entry = service.queue.popitem(last=False)
            self._send(service, entry, now)
            self._make_ready(service)
        elif not service.asking and now >= service.look_at:
            service.asking = True
            lane = self._take(service.name, -1, now + CLIENT_TIMEOUT_S)
            self._outbox.append(Ask(lane, service.name))

    def _send(self, service: _Service, entry: _Entry, now: float) -> None:
        settings = self._settings
        patience = settings.patience_known_s if self.knows_refusals else settings.patience_s
        until = entry.expires if entry.once else now + patience * 2 ** min(entry.attempts, 6)
        entry.lane = self._take(service.name, entry.seq, until)
        entry.attempts += 1
        service.flying += 1
        self._outbox.append(Send(entry.lane, entry.seq, entry.service, entry.once))

    def _seen(self, lane: int, used: _Lane, *, is_there: bool, now: float) -> None:
        self._release(lane)
        service = self._services[used.service]
        service.asking = False
        if is_there:
            service.pause = 0.0
            service.there_until = now + self._settings.check_s
            self._make_ready(service)
            self._tidy(service)
            return
        service.pause = min(max(0.05, 2 * service.pause), self._settings.check_s)
        service.look_at = now + service.pause
        heapq.heappush(self._timers, (service.look_at, service.name, -1))
        self._tidy(service)

    def _answered(self, entry: _Entry, body: Frames, now: float) -> None:
        reason = refusal_of(body) if self.knows_refusals else None
        if reason is None:
            self._services[entry.service].there_until = now + self._settings.check_s
            self._settle(Answered(entry.seq, body))
        elif reason in {QUEUE_FULL, EXPIRED} or (reason == WORKER_LOST and not entry.once):
            self._retry(entry, now)
        else:
            self._settle(Failed(entry.seq, body[1].decode("utf-8", "replace")))

    def _give_up(self, lane: int, used: _Lane, now: float) -> None:
        """No answer came on `lane` and none will."""
        self._abandon(lane)
        if used.seq < 0:
            service = self._services[used.service]
            service.asking = False
            self._make_ready(service)
            self._tidy(service)
            return
        entry = self._entries[used.seq]
        if entry.once:
            self._settle(Failed(entry.seq, UNKNOWN_OUTCOME))
        else:
            self._retry(entry, now)

    def _retry(self, entry: _Entry, now: float) -> None:
        """Not before a pause that doubles each time; its place in the queue is kept for then."""
        settings = self._settings
        pause = min(settings.retry_s * 2 ** min(entry.attempts, 16), settings.retry_max_s)
        heapq.heappush(self._timers, (now + pause, entry.service, entry.seq))
        if entry.once:
            self._events.append(Unsent(entry.seq))

    def _wake(self, name: bytes, seq: int) -> None:
        service = self._services.get(name)
        if service is None:
            return
        entry = self._entries.get(seq)
        if entry is not None and entry.lane < 0:
            service.queue[seq] = entry
            service.queue.move_to_end(seq, last=False)
        self._make_ready(service)

    def _put_first(self, entry: _Entry) -> None:
        """That it was sent says nothing about it."""
        entry.attempts -= 1
        queue = self._services[entry.service].queue
        queue[entry.seq] = entry
        queue.move_to_end(entry.seq, last=False)

    def _fail(self, seq: int, reason: str) -> None:
        entry = self._entries[seq]
        self._services[entry.service].queue.pop(seq, None)
        if entry.lane >= 0:
            reason = UNKNOWN_OUTCOME if entry.once else reason
            self._abandon(entry.lane)
        self._settle(Failed(seq, reason))

    def _settle(self, event: Answered | Failed) -> None:
        entry = self._entries.pop(event.seq)
        self._events.append(event)
        self._left(self._services[entry.service])

    def _left(self, service: _Service) -> None:
        service.open -= 1
        self._tidy(service)

    def _tidy(self, service: _Service) -> None:
        """Forget a service that nothing waits for and nothing refers to."""
        if not (service.open or service.is_ready or service.asking):
            self._services.pop(service.name, None)

    def _make_ready(self, service: _Service) -> None:
        if not service.is_ready and service.queue:
            service.is_ready = True
            self._ready.append(service)

    def _take(self, service: bytes, seq: int, until: float) -> int:
        lane = self._free.pop()
        self._lanes[lane] = _Lane(service, seq, until)
        return lane

    def _release(self, lane: int) -> None:
        used = self._lanes.pop(lane)
        self._free.append(lane)
        if used.seq < 0:
            return
        self._entries[used.seq].lane = -1
        service = self._services[used.service]
        service.flying -= 1
        self._make_ready(service)

    def _abandon(self, lane: int) -> None:
        self._release(lane)
        self._outbox.append(Drop(lane))
