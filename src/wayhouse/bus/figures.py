"""What the broker tells of itself as JSON: `mmi.stats`, `mmi.services`, `mmi.workers`.

Called by its MMI. Rules: it only reads; however many services and workers there are, an answer lists so many at most, and says so.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Any

from wayhouse.base.codec import to_builtins
from wayhouse.bus import mdp
from wayhouse.bus.model import Counters
from wayhouse.bus.overview import BrokerFigures, CloneFigures, ServiceFigures, WorkerFigures
from wayhouse.bus.requests import Account
from wayhouse.bus.services import Service, Worker

MAX_SHOWN = 1000
"""Of services and of workers in `stats`."""
MAX_LISTED = 10_000


class Figures:
    """All that it is given is the broker's own, only read."""

    def __init__(
        self,
        services: Mapping[bytes, Service],
        workers: Mapping[bytes, Worker],
        counters: Counters,
        account: Account,
        clone: Callable[[], CloneFigures | None],
        now: float,
    ) -> None:
        self._by_name = services
        self._by_identity = workers
        self._counters = counters
        self._account = account
        self._clone = clone
        self._began = now

    def stats(self, now: float) -> BrokerFigures:
        """Where there is more than is shown: the services with the longest queues, the workers with most in hand."""
        services, workers = self._by_name.values(), self._by_identity.values()
        busiest = heapq.nlargest(MAX_SHOWN, services, key=lambda one: len(one.queue))
        hardest = heapq.nlargest(MAX_SHOWN, workers, key=lambda one: len(one.held))
        return BrokerFigures(
            uptime_s=now - self._began,
            counters=to_builtins(self._counters),
            now=self.present(),
            services=[_service(one) for one in sorted(busiest, key=_name)],
            workers=[_worker(one, now) for one in hardest],
            is_cut=max(len(services), len(workers)) > MAX_SHOWN,
            clone=self._clone(),
        )

    def present(self) -> dict[str, int]:
        return {
            "services": len(self._by_name),
            "workers": len(self._by_identity),
            "queued": self._account.queued,
            "held": sum(len(worker.held) for worker in self._by_identity.values()),
            "bytes": self._account.bytes,
        }

    def services(self) -> list[dict[str, Any]]:
        services = sorted(self._by_name.values(), key=_name)[:MAX_LISTED]
        return [
            {
                "name": text(one.name),
                "workers": one.workers,
                "idle": len(one.idle),
                "queued": len(one.queue),
            }
            for one in services
        ]

    def workers(self, service: bytes) -> list[dict[str, Any]]:
        """Those of `service`; all when that is empty."""
        found = [one for one in self._by_identity.values() if not service or one.service.name == service]
        return [
            {
                "identity": one.identity.hex(),
                "service": text(one.service.name),
                "protocol": mdp.PROTOCOLS[one.version],
                "credit": one.window.size,
                "held": len(one.held),
                "seen_at": one.seen_at,
            }
            for one in found[:MAX_LISTED]
        ]


def text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _service(one: Service) -> ServiceFigures:
    members = one.members.values()
    return ServiceFigures(
        name=text(one.name),
        workers=len(members),
        idle=len(one.idle),
        busy=len(members) - len(one.idle),
        queued=len(one.queue),
        held=sum(len(worker.held) for worker in members),
        credit=sum(worker.window.size for worker in members),
        done=one.done,
        failed=one.failed,
    )


def _worker(one: Worker, now: float) -> WorkerFigures:
    since = now - one.progress_at
    return WorkerFigures(
        identity=one.identity.hex(),
        service=text(one.service.name),
        protocol=mdp.PROTOCOLS[one.version],
        credit=one.window.size,
        held=len(one.held),
        done=one.done,
        idle_s=None if one.held else since,
        busy_s=since if one.held else None,
        seen_s=now - one.seen_at,
    )


def _name(one: Service) -> bytes:
    return one.name
