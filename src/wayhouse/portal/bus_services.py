"""The services of the bus as pages of a list, all or those whose names hold what is wanted.

Used by the bus pages. Rule: the broker's figures leave services out where there are very many; those are asked for by name then, and
shown without what only the figures know.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, UnavailableError
from wayhouse.bus.model import Frames, NoReplyError
from wayhouse.bus.overview import BrokerFigures, ServiceFigures

PER_PAGE = 50
ASK_S = 2.0
ALL = "mmi.services"


class Calls(Protocol):
    async def call(self, service: str, request: list[bytes], *, timeout_s: float) -> Frames: ...


class ServiceRow(msgspec.Struct, frozen=True):
    """`is_counted`: what was done and what failed is known."""

    figures: ServiceFigures
    is_counted: bool = True


class ServiceList(msgspec.Struct, frozen=True, kw_only=True):
    """One page. `total`: of all services; `is_cut`: not even all names are known."""

    rows: list[ServiceRow]
    total: int
    query: str
    number: int
    pages: int
    is_cut: bool


class _Listed(msgspec.Struct, frozen=True):
    """An entry of the broker's list of all."""

    name: str
    workers: int
    idle: int
    queued: int


async def listed(bus: Calls, broker: BrokerFigures, query: str, number: int) -> ServiceList:
    """Page `number` (from 1; the last for what is beyond) of the services whose names have all words of `query`, by name."""
    rows = await everything(bus, broker)
    words = query.lower().split()
    found = [row for row in rows if all(word in row.figures.name.lower() for word in words)]
    pages = max(1, -(-len(found) // PER_PAGE))
    number = min(number, pages)
    total = max(len(rows), broker.now.get("services", 0))
    return ServiceList(
        rows=found[(number - 1) * PER_PAGE : number * PER_PAGE],
        total=total,
        query=query,
        number=number,
        pages=pages,
        is_cut=len(rows) < total,
    )


async def everything(bus: Calls, broker: BrokerFigures) -> list[ServiceRow]:
    """By name."""
    rows = {one.name: ServiceRow(one) for one in broker.services}
    for one in await _rest(bus) if broker.is_cut else ():
        figures = ServiceFigures(
            name=one.name, workers=one.workers, idle=one.idle, busy=one.workers - one.idle, queued=one.queued
        )
        rows.setdefault(one.name, ServiceRow(figures, is_counted=False))
    return [rows[name] for name in sorted(rows)]


async def _rest(bus: Calls) -> list[_Listed]:
    try:
        reply = await bus.call(ALL, [b""], timeout_s=ASK_S)
        return codec.decode_json(reply[0], list[_Listed], what="list of services")
    except (NoReplyError, UnavailableError, BadInputError):
        return []
