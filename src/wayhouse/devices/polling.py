"""When a device is asked next, and whether it counts as available. A machine: times are arguments, it does nothing.

After a failure it waits longer, twice as long each time, up to `LONGEST_WAIT_S`; the third failure in a row, or that
the device is gone, makes it unavailable; one good answer makes it available again.
"""

from __future__ import annotations

import math

import msgspec

FAILURES_ALLOWED = 3
LONGEST_WAIT_S = 900.0
FIRST_WAIT_S = 1.0
MAX_DOUBLINGS = 12


class Health(msgspec.Struct):
    """`last_seen` is Unix seconds of the last good answer, `reason` the last failure in words."""

    is_available: bool = False
    last_seen: float | None = None
    failures: int = 0
    reason: str = "It has not answered yet."
    next_poll: float = 0.0
    """On the monotonic clock; 0 is at once."""

    def answered(self, wall: float) -> bool:
        """True if this made it available."""
        was, self.is_available = self.is_available, True
        self.last_seen, self.failures, self.reason = wall, 0, ""
        return not was

    def failed(self, reason: str, *, is_gone: bool = False) -> bool:
        """True if this made it unavailable."""
        was = self.is_available
        self.failures += 1
        self.reason = reason
        if is_gone or self.failures >= FAILURES_ALLOWED:
            self.is_available = False
        return was and not self.is_available

    def plan(self, poll_s: int, now: float) -> None:
        """Set the next poll, `now` being on the monotonic clock; without polling it is never, until asked for."""
        self.next_poll = now + wait_s(poll_s, self.failures)

    def is_due(self, poll_s: int, now: float) -> bool:
        """A device without polling (0) is due once: when it joins, comes back or was changed."""
        return poll_s >= 0 and now >= self.next_poll


def wait_s(poll_s: int, failures: int) -> float:
    """Seconds until the next poll: after a failure two more tries come soon, then they come ever more rarely."""
    if poll_s <= 0:
        return math.inf
    if failures == 0:
        return float(poll_s)
    wait = FIRST_WAIT_S * 2.0 ** min(failures - 1, MAX_DOUBLINGS)
    if failures < FAILURES_ALLOWED:
        return min(wait, poll_s)
    return min(max(wait, poll_s), max(LONGEST_WAIT_S, poll_s))
