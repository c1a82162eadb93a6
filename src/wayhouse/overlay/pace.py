"""How often a node speaks: a token bucket for all, a back-off for each peer, and an agenda of who is due.

Used by `controller.py`. Rule: nothing here is random: the jitter of a pair comes from both uids, so that a simulation runs the same every time
and two nodes still never go in step.
"""

from __future__ import annotations

import heapq
import math
import zlib
from collections.abc import Iterator

LONGEST_S = 300.0


class Bucket:
    """`burst` tokens, and `rate` new ones a second: in any minute at most `burst + 60 * rate`."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at = -math.inf

    def take(self, now: float) -> bool:
        self._fill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def ready(self) -> float:
        """When there is a token, on the clock of `take`."""
        return self._at if self._tokens >= 1 else self._at + (1 - self._tokens) / self._rate + 1e-6

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now


def share(one: str, other: str, turn: int) -> float:
    """A number from 0 to 1, the same for the same three."""
    return zlib.crc32(f"{one}{other}{turn}".encode()) / 2**32


def back_off(one: str, other: str, attempts: int, *, first_s: float) -> float:
    """Seconds until the next attempt after so many: doubling from `first_s` to `LONGEST_S`, give or take a quarter."""
    delay = min(LONGEST_S, first_s * 2.0 ** min(max(attempts - 1, 0), 20))
    return delay * (0.75 + share(one, other, attempts) / 2)


class Agenda:
    """Who is due when; everybody has one entry, the last that was put."""

    __slots__ = ("_due", "_heap")

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def put(self, uid: str, due: float) -> None:
        if self._due.get(uid) != due:
            self._due[uid] = due
            heapq.heappush(self._heap, (due, uid))
            self._shrink()

    def hasten(self, uid: str, due: float) -> None:
        """Not later than `due`."""
        self.put(uid, min(due, self._due.get(uid, math.inf)))

    def drop(self, uid: str) -> None:
        self._due.pop(uid, None)

    def next(self) -> float:
        """When the first is due; infinity if nobody is."""
        heap, due = self._heap, self._due
        while heap:
            moment, uid = heap[0]
            if due.get(uid) == moment:
                return moment
            heapq.heappop(heap)  # overruled
        return math.inf

    def first(self) -> str:
        """Who that is; only after `next` gave a time."""
        return self._heap[0][1]

    def take_due(self, now: float) -> Iterator[str]:
        """Everybody who is due, taken from the agenda one by one; whoever is put anew for now or before comes again."""
        while self.next() <= now:
            uid = self.first()
            self.drop(uid)
            yield uid

    def __len__(self) -> int:
        return len(self._due)

    def _shrink(self) -> None:
        """What was overruled stays in the heap until it is due: not more than there are entries."""
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [(due, uid) for uid, due in self._due.items()]
            heapq.heapify(self._heap)
