"""What sources said over a span of time, and a time that moves only when told to. Used by `rehearsal` and `rehearsed_calls`."""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter

from wayhouse.automation.model import Value
from wayhouse.automation.ports import Sources

MAX_FACTS = 50_000
Facts = Sequence[tuple[float, Value]]


class VirtualTime:
    """Unix seconds."""

    def __init__(self, now: float) -> None:
        self.now = now


class History:
    """`recorded`: of each source, in order of time; `silent`: entries without any."""

    def __init__(self, entries: Mapping[str, str], recorded: Mapping[str, Facts]) -> None:
        self._recorded = {source: list(found)[-MAX_FACTS:] for source, found in recorded.items()}
        self._times = {source: [at for at, _ in found] for source, found in self._recorded.items()}
        self.silent = sorted(name for name, source in entries.items() if not self._recorded.get(source))

    @classmethod
    async def of(cls, entries: Mapping[str, str], start: float, end: float, sources: Sources) -> History:
        """Raises what `Sources.readings` raises."""
        return cls(
            entries, {one: await sources.readings(one, start, end) for one in sorted(set(entries.values()))}
        )

    def facts(self) -> Iterator[tuple[float, str, Value]]:
        """Of all sources, in order of time."""
        streams = ([(at, source, value) for at, value in found] for source, found in self._recorded.items())
        return heapq.merge(*streams, key=itemgetter(0))

    def value(self, source: str, at: float) -> Value:
        """The last one until then; None: nothing was recorded before."""
        place = bisect.bisect_right(self._times.get(source, ()), at)
        return self._recorded[source][place - 1][1] if place else None

    def between(self, source: str, start: float, end: float) -> Facts:
        """Both ends included."""
        times = self._times.get(source, [])
        found = self._recorded.get(source, [])
        return found[bisect.bisect_left(times, start) : bisect.bisect_right(times, end)]
