"""The bus on `/metrics`. Called by `assemble_things`.

Rule: it shows the bus as it was at the last look, some seconds ago, and asks nobody; what is not known then is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from wayhouse.base.metrics import Metrics
from wayhouse.bus.overview import BusOverview
from wayhouse.bus.service import Bus

Rows = Iterable[tuple[Mapping[str, str], float]]
COUNTERS = {
    "requests": "Requests that the broker has taken.",
    "replies": "Replies that it has passed on.",
    "mmi": "Requests that it has answered itself.",
    "refused": "Requests refused since a limit was reached.",
    "expired": "Requests that found no worker in time.",
    "requeued": "Requests given to another worker, since theirs was lost.",
    "lost": "Requests that were answered with an error, since their worker was lost.",
    "workers_lost": "Workers that went silent.",
    "malformed": "Messages that were not understood.",
    "violations": "Messages against the protocol.",
    "stale": "Answers to requests that the worker did not hold any more.",
    "undeliverable": "Messages to peers that were gone or did not read.",
}
PRESENT = {
    "services": "Services on the bus.",
    "workers": "Workers on the bus.",
    "queued": "Requests that wait for a worker.",
    "held": "Requests that workers are at.",
    "bytes": "Bytes of the requests that wait or are held.",
}
CLONE = {
    "keys": "Keys of the key/value clone.",
    "bytes": "Bytes of its keys and values.",
    "subscribers": "Subscribers of the clone.",
}
DURABLE = ("waiting", "sent", "answered", "failed")


def count_bus(metrics: Metrics, bus: Bus) -> None:
    for name, text in COUNTERS.items():
        metrics.reading_counter(f"wayhouse_bus_{name}_total", text, _of(bus, _counter(name)))
    for name, text in PRESENT.items():
        metrics.gauge(f"wayhouse_bus_{name}", text, _of(bus, _present(name)))
    for name, text in CLONE.items():
        metrics.gauge(f"wayhouse_bus_clone_{name}", text, _of(bus, _clone(name)))
    metrics.reading_counter(
        "wayhouse_bus_clone_updates_total", "Updates that the clone has taken.", _of(bus, _clone("sequence"))
    )
    for name in DURABLE:
        metrics.gauge(f"wayhouse_bus_durable_{name}", f"Durable requests: {name}.", _of(bus, _durable(name)))
    metrics.gauge("wayhouse_bus_durable_bytes", "Bytes of their file in use.", _of(bus, _durable("bytes")))


Find = Callable[[BusOverview], float | None]


def _of(bus: Bus, find: Find) -> Callable[[], Rows]:
    def read() -> Rows:
        value = find(bus.seen)
        return [] if value is None else [({}, float(value))]

    return read


def _counter(name: str) -> Find:
    return lambda seen: seen.broker.counters.get(name)


def _present(name: str) -> Find:
    return lambda seen: seen.broker.now.get(name)


def _clone(name: str) -> Find:
    return lambda seen: None if seen.broker.clone is None else float(getattr(seen.broker.clone, name))


def _durable(name: str) -> Find:
    return lambda seen: seen.durable.get(name)
