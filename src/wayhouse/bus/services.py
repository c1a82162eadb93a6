"""Services and workers, as the broker keeps them.

Called by the broker and its MMI. Rule: while a service has a queue, none of its workers has room. Workers are taken by turns: the one
that has been idle longest first, then those that hold something but have room for more.
"""

from __future__ import annotations

from collections import OrderedDict

from wayhouse.bus.credit import Window
from wayhouse.bus.requests import Request


class Worker:
    """`held` are the requests that it was given, oldest first; `progress_at` is when it last got on with one of them."""

    __slots__ = (
        "beats",
        "done",
        "given_at",
        "held",
        "identity",
        "once",
        "progress_at",
        "seen_at",
        "service",
        "version",
        "window",
    )

    def __init__(self, identity: bytes, version: int, service: Service, window: Window, now: float) -> None:
        self.identity = identity
        self.version = version
        self.service = service
        self.window = window
        self.held: dict[bytes, Request] = {}
        self.seen_at = self.progress_at = self.given_at = now
        self.once = False
        self.beats = False
        self.done = 0


class Service:
    """`members` are all of its workers, `idle` and `spare` those with room; `queue` is by key, in order. `done` and `failed` count the
    requests that were answered by a worker and in one's stead."""

    __slots__ = ("done", "failed", "idle", "members", "name", "queue", "spare")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.queue: OrderedDict[bytes, Request] = OrderedDict()
        self.idle: OrderedDict[bytes, Worker] = OrderedDict()
        self.spare: OrderedDict[bytes, Worker] = OrderedDict()
        self.members: dict[bytes, Worker] = {}
        self.done = self.failed = 0

    @property
    def workers(self) -> int:
        """How many there are."""
        return len(self.members)

    def take_worker(self) -> Worker | None:
        """The next worker with room; it is no longer listed as such until `list_worker`."""
        if self.idle:
            return self.idle.popitem(last=False)[1]
        if self.spare:
            return self.spare.popitem(last=False)[1]
        return None

    def list_worker(self, worker: Worker) -> None:
        """Put it where it belongs by what it holds."""
        held = len(worker.held)
        if not held:
            self.spare.pop(worker.identity, None)
            self.idle[worker.identity] = worker
        elif held < worker.window.size:
            self.spare[worker.identity] = worker
        else:
            self.spare.pop(worker.identity, None)

    def forget_worker(self, worker: Worker) -> None:
        del self.members[worker.identity]
        self.idle.pop(worker.identity, None)
        self.spare.pop(worker.identity, None)
