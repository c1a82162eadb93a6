"""How often each method was called, how often it failed, and how long it took, in memory that does not grow.

Called by the server for every call, and read by the RPC `STATS`. Times are counted in buckets four to an octave, so a
percentile is right to within an eighth.
"""

from __future__ import annotations

from typing import Any

_OCTAVES = 64  # more nanoseconds than a machine lives


class Stat:
    """Counts of one method; times in nanoseconds."""

    __slots__ = ("buckets", "count", "errors", "total")

    def __init__(self) -> None:
        self.count = 0
        self.errors = 0
        self.total = 0
        self.buckets = [0] * (4 * _OCTAVES + 4)

    def add(self, took: int) -> None:
        self.count += 1
        self.total += took
        bits = took.bit_length()
        self.buckets[4 * bits + (took >> (bits - 3) & 3 if bits > 3 else 0)] += 1

    def percentile(self, share: float) -> float:
        """Microseconds within which `share` of the calls ended, 0.0 when there were none."""
        wanted = share * self.count
        seen = 0
        for index, count in enumerate(self.buckets):
            seen += count
            if count and seen >= wanted:
                return _middle(index) / 1000
        return 0.0

    def snapshot(self) -> list[Any]:
        return [self.count, self.errors, self.total, self.buckets]

    def restore(self, figures: Any) -> None:
        """Raises `ValueError`."""
        try:
            count, errors, total, buckets = figures
            if len(buckets) != len(self.buckets):
                raise ValueError("there are other buckets than here")
            self.count, self.errors, self.total = int(count), int(errors), int(total)
            self.buckets = [int(one) for one in buckets]
        except TypeError as error:
            raise ValueError(f"these are no figures: {error}") from error

    def report(self) -> dict[str, Any]:
        mean = self.total / self.count / 1000 if self.count else 0.0
        return {
            "calls": self.count,
            "errors": self.errors,
            "mean_us": round(mean, 1),
            "p50_us": round(self.percentile(0.5), 1),
            "p99_us": round(self.percentile(0.99), 1),
        }


def _middle(index: int) -> float:
    bits, quarter = divmod(index, 4)
    if bits <= 3:
        return float(2**bits)
    return float(2 ** (bits - 1) + (quarter + 0.5) * 2 ** (bits - 3))
