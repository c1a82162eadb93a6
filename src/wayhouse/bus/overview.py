"""What the bus looks like now, for `wayhouse bus top`, the page and `/metrics`. Made by `service`.

Rule: what cannot be known, since a process is away, is empty, and `processes` says which and why.
"""

from __future__ import annotations

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import WayhouseError
from wayhouse.bus.model import OK, Frames


class BusProcess(msgspec.Struct, frozen=True, kw_only=True):
    """`lines`: the last that it wrote, to say why it does not run."""

    name: str
    pid: int
    is_ready: bool
    restarts: int = 0
    lines: list[str] = []


class ServiceFigures(msgspec.Struct, frozen=True, kw_only=True):
    """`done`, `failed`: since the service came; `credit`: requests that its workers may hold."""

    name: str
    workers: int = 0
    idle: int = 0
    busy: int = 0
    queued: int = 0
    held: int = 0
    credit: int = 0
    done: int = 0
    failed: int = 0


class WorkerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds: since it is idle, since it last got on, since its last sign of life."""

    identity: str
    service: str
    protocol: str = ""
    credit: int = 0
    held: int = 0
    done: int = 0
    idle_s: float | None = None
    busy_s: float | None = None
    seen_s: float = 0.0


class CloneFigures(msgspec.Struct, frozen=True, kw_only=True):
    keys: int = 0
    bytes: int = 0
    subscribers: int = 0
    sequence: int = 0


class BrokerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `mmi.stats`."""

    uptime_s: float = 0.0
    counters: dict[str, int] = {}
    now: dict[str, int] = {}
    services: list[ServiceFigures] = []
    workers: list[WorkerFigures] = []
    is_cut: bool = False
    clone: CloneFigures | None = None


class DurableRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that Titanic keeps. `state`: waiting, sent, answered or failed; `bytes`: of its body; `expires_s`: seconds that it may
    still wait, or that its reply is kept; `attempts`: how often it was sent, None where that is not known any more."""

    uuid: str
    service: str
    state: str
    once: bool = False
    bytes: int = 0
    expires_s: float = 0.0
    attempts: int | None = None


class DurableRequests(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `titanic.list`. `counts`: of all by state, and `bytes` on disk; `is_cut`: not all were looked at, or there are more."""

    counts: dict[str, int] = {}
    requests: list[DurableRequest] = []
    is_cut: bool = False


class BusOverview(msgspec.Struct, frozen=True, kw_only=True):
    """`endpoints`: what programs connect to, by role; `durable`: counts of Titanic's requests by state, and `bytes` on disk."""

    endpoints: dict[str, str]
    processes: list[BusProcess]
    broker: BrokerFigures = BrokerFigures()
    durable: dict[str, int] = {}


def figures(answer: Frames) -> BrokerFigures:
    """Of the reply of `mmi.stats`; empty ones when it says nothing that is understood."""
    if len(answer) != 2:
        return BrokerFigures()
    try:
        return codec.decode_json(answer[0], BrokerFigures, what="figures of the broker")
    except WayhouseError:
        return BrokerFigures()


def durable_requests(answer: Frames) -> DurableRequests:
    """Of the reply of `titanic.list`; none when it says nothing that is understood."""
    if len(answer) != 2 or answer[0] != OK:
        return DurableRequests()
    try:
        return codec.decode_json(answer[1], DurableRequests, what="durable requests")
    except WayhouseError:
        return DurableRequests()
