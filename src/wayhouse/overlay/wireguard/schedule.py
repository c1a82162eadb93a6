"""Which peer's timers are due next, for thousands of peers.

Used by `traffic.py` and `device.py`. Rule: an entry may be too early - then the peer is put back - but never too late, so moving a timer on
costs nothing.
"""

from __future__ import annotations

import heapq

from wayhouse.overlay.wireguard.peer import Peer
from wayhouse.overlay.wireguard.timing import NEVER


class Schedule:
    """A heap of times; `Peer.scheduled` is the earliest entry of the peer."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Peer]] = []
        self._number = 0

    def update(self, peer: Peer) -> None:
        """The peer's timers have changed."""
        due = min(peer.timers.due(), peer.keys.retire_at())
        if due < peer.scheduled:
            peer.scheduled = due
            self._number += 1
            heapq.heappush(self._heap, (due, self._number, peer))

    def forget(self, peer: Peer) -> None:
        """Its entries do nothing any more."""
        peer.scheduled = -NEVER

    def deadline(self) -> float:
        """`NEVER` if there is nothing to wait for."""
        heap = self._heap
        while heap and heap[0][0] != heap[0][2].scheduled:
            heapq.heappop(heap)
        return heap[0][0] if heap else NEVER

    def take(self, now: float) -> list[Peer]:
        """Those that may have something to do, each once. Call `update` for each afterwards."""
        found: list[Peer] = []
        while self.deadline() <= now:
            peer = heapq.heappop(self._heap)[2]
            peer.scheduled = NEVER
            found.append(peer)
        return found
