"""Bytes a second from counters that only grow. Called by `node.py`, once a second for each peer. Rule: a counter that began anew gives no rate."""

from __future__ import annotations

from collections import deque

WINDOW = 6
"""Samples, so rates are of the last five seconds."""


class Rates:
    def __init__(self) -> None:
        self._samples: deque[tuple[float, int, int]] = deque(maxlen=WINDOW)

    def sample(self, now: float, sent: int, received: int) -> None:
        if self._samples and (sent < self._samples[-1][1] or received < self._samples[-1][2]):
            self._samples.clear()
        self._samples.append((now, sent, received))

    def per_second(self) -> tuple[float, float]:
        """Sent and received."""
        if len(self._samples) < 2:
            return 0.0, 0.0
        begin, end = self._samples[0], self._samples[-1]
        took_s = end[0] - begin[0]
        if took_s <= 0:
            return 0.0, 0.0
        return (end[1] - begin[1]) / took_s, (end[2] - begin[2]) / took_s
