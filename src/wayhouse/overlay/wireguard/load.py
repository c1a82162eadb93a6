"""How much a responder does: whether it is under load, and how often one source may ask.

Used by `cookies.py`. Rule: memory is bounded whatever comes; what is decided depends on the given time alone.
"""

from __future__ import annotations

from collections.abc import Hashable

from wayhouse.overlay.wireguard.timing import NEVER

HANDSHAKES_PER_S = 250
"""More than so many in a second are a load: with some 0.3 ms each about a tenth of a core, and half of a small one."""
LOAD_LASTS_S = 1.0
TOKENS_PER_S = 20.0
BURST = 5.0
SOURCES = 4096


class LoadMeter:
    """Counts handshake messages with a right mac1."""

    def __init__(self, per_s: int = HANDSHAKES_PER_S) -> None:
        self._per_s = per_s
        self._second = -1
        self._count = 0
        self._until = -NEVER

    def is_under_load(self, now: float) -> bool:
        """Counts one more. Once under load, it lasts for a second after the last of too many."""
        second = int(now // 1)
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        if self._count > self._per_s:
            self._until = now + LOAD_LASTS_S
        return now < self._until


class RateLimiter:
    """A bucket of tokens per source: 20 a second, 5 at once, as in the kernel. The source that asked longest ago is forgotten first."""

    def __init__(self, sources: int = SOURCES) -> None:
        self._sources = sources
        self._buckets: dict[Hashable, tuple[float, float]] = {}

    def allows(self, source: Hashable, now: float) -> bool:
        """Takes a token."""
        tokens, since = self._buckets.pop(source, (BURST, now))
        tokens = min(BURST, tokens + max(0.0, now - since) * TOKENS_PER_S)
        if len(self._buckets) >= self._sources:
            del self._buckets[next(iter(self._buckets))]
        allowed = tokens >= 1.0
        self._buckets[source] = (tokens - 1.0 if allowed else tokens, now)
        return allowed
