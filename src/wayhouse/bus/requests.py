"""Requests in the broker: one that came, and the account of all that wait or are held.

Called by the broker. Rules: every request is in exactly one place (a service's queue or a worker's hands) until it is answered; all
steps take constant time, however many there are.
"""

from __future__ import annotations

import msgspec

from wayhouse.bus.model import BrokerSettings, Frames


class Request(msgspec.Struct, gc=False):
    """`key` is the address that a worker echoes: the client's identity and a number, so that a late answer finds nothing.

    `parts` gathers a reply in parts for a client of MDP 0.1; `partly` says that a client has already got a part, `answered` that
    it was told how this ended although a worker still holds it.
    """

    client: bytes
    key: bytes
    version: int
    label: bytes
    body: Frames
    size: int
    expires: float
    deliveries: int = 0
    ttl_s: float | None = None
    once: bool = False
    partly: bool = False
    answered: bool = False
    parts: Frames = []
    parts_size: int = 0


class Account:
    """How much all requests together keep in memory, and how many wait, against the broker's limits."""

    __slots__ = ("_max_bytes", "_max_queued", "bytes", "queued")

    def __init__(self, settings: BrokerSettings) -> None:
        self._max_bytes = settings.queue_bytes
        self._max_queued = settings.max_queued
        self.bytes = 0
        self.queued = 0

    def take(self, size: int) -> bool:
        """Whether there was room for `size` bytes more, which are taken then."""
        if self.bytes + size > self._max_bytes:
            return False
        self.bytes += size
        return True

    def release(self, request: Request) -> None:
        self.bytes -= request.size + request.parts_size

    def drop_parts(self, request: Request) -> None:
        self.bytes -= request.parts_size
        request.parts, request.parts_size = [], 0

    def has_place(self) -> bool:
        return self.queued < self._max_queued


class Expiries:
    """Which queued requests end when: buckets of one second, so that adding and removing one costs the same among 100,000."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[int, dict[bytes, tuple[bytes, Request]]] = {}

    def add(self, service: bytes, request: Request) -> None:
        self._buckets.setdefault(int(request.expires), {})[request.key] = (service, request)

    def remove(self, request: Request) -> None:
        second = int(request.expires)
        bucket = self._buckets.get(second)
        if bucket is not None and bucket.pop(request.key, None) is not None and not bucket:
            del self._buckets[second]

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def due(self, now: float) -> list[tuple[bytes, Request]]:
        """(name of its service, request) of each that has ended; they are no longer kept here."""
        seconds = [second for second in self._buckets if second < int(now)]
        return [found for second in sorted(seconds) for found in self._buckets.pop(second).values()]
