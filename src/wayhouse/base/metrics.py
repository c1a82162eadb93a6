"""Counters, gauges and histograms in Prometheus' text format (exposition format 0.0.4).

The names follow Prometheus' rules: `wayhouse_<noun>_<unit>[_total]`. Labels are few and bounded.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

Labels = tuple[tuple[str, str], ...]
DURATION_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def _key(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _line(name: str, labels: Labels, value: float) -> str:
    text = ",".join(f'{key}="{_escape(val)}"' for key, val in labels)
    return f"{name}{{{text}}} {_number(value)}" if text else f"{name} {_number(value)}"


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else f"{value:.17g}"


class Counter:
    kind = "counter"

    def __init__(self) -> None:
        self._values: dict[Labels, float] = {}

    def inc(self, amount: float = 1.0, **labels: str) -> None:
        key = _key(labels)
        self._values[key] = self._values.get(key, 0.0) + amount

    def value(self, **labels: str) -> float:
        return self._values.get(_key(labels), 0.0)

    def lines(self, name: str) -> Iterable[str]:
        return (_line(name, labels, value) for labels, value in sorted(self._values.items()))


class Gauge:
    """A value read when someone asks: `read` returns pairs of labels and value."""

    kind = "gauge"

    def __init__(self, read: Callable[[], Iterable[tuple[Mapping[str, str], float]]]) -> None:
        self._read = read

    def lines(self, name: str) -> Iterable[str]:
        return (_line(name, _key(labels), value) for labels, value in self._read())


class ReadingCounter(Gauge):
    """A counter that is kept elsewhere, read when someone asks."""

    kind = "counter"


class Histogram:
    kind = "histogram"

    def __init__(self, buckets: tuple[float, ...] = DURATION_BUCKETS_S) -> None:
        self._buckets = buckets
        self._series: dict[Labels, list[float]] = {}

    def observe(self, value: float, **labels: str) -> None:
        row = self._series.setdefault(_key(labels), [0.0] * (len(self._buckets) + 2))
        row[bisect.bisect_left(self._buckets, value)] += 1
        row[-1] += value

    def lines(self, name: str) -> Iterable[str]:
        for labels, row in sorted(self._series.items()):
            running = 0.0
            for bound, count in zip((*self._buckets, float("inf")), row[:-1], strict=True):
                running += count
                edge = "+Inf" if bound == float("inf") else f"{bound:g}"
                yield _line(f"{name}_bucket", (*labels, ("le", edge)), running)
            yield _line(f"{name}_sum", labels, row[-1])
            yield _line(f"{name}_count", labels, running)


M = TypeVar("M", "Counter", "Gauge", "ReadingCounter", "Histogram")


class Metrics:
    """The registry. Registering a name twice is a defect and raises."""

    def __init__(self) -> None:
        self._all: dict[str, tuple[str, Counter | Gauge | Histogram]] = {}

    def counter(self, name: str, text: str) -> Counter:
        return self._add(name, text, Counter())

    def histogram(self, name: str, text: str) -> Histogram:
        return self._add(name, text, Histogram())

    def gauge(
        self, name: str, text: str, read: Callable[[], Iterable[tuple[Mapping[str, str], float]]]
    ) -> Gauge:
        return self._add(name, text, Gauge(read))

    def reading_counter(
        self, name: str, text: str, read: Callable[[], Iterable[tuple[Mapping[str, str], float]]]
    ) -> ReadingCounter:
        return self._add(name, text, ReadingCounter(read))

    def render(self) -> str:
        out: list[str] = []
        for name, (text, metric) in sorted(self._all.items()):
            told = text.replace("\\", "\\\\").replace("\n", "\\n")
            out.extend((f"# HELP {name} {told}", f"# TYPE {name} {metric.kind}"))
            out.extend(metric.lines(name))
        return "\n".join(out) + "\n"

    def _add(self, name: str, text: str, metric: M) -> M:
        if name in self._all:
            raise ValueError(f"metric {name} is registered twice")
        self._all[name] = (text, metric)
        return metric
