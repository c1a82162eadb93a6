"""`wayhouse bus top`: the services of the bus, those with the longest queue first, and how fast they work.

Rule: rates are between two looks, in the broker's own time; what a broker that was started anew has forgotten has no rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from wayhouse.cli.command import command
from wayhouse.cli.figures import size, span
from wayhouse.cli.live import away, draw
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.bus.overview import BusOverview, CloneFigures, ServiceFigures

HEADS = ("SERVICE", "WORKERS", "BUSY", "QUEUE", "", "HELD", "DONE/S", "DONE", "FAILED")
BAR = 12
COUNTED = ("requests", "replies", "expired", "requeued", "lost")


class ServiceRow(msgspec.Struct, frozen=True, kw_only=True):
    """`done_per_s`, `failed_per_s`: None at the first look."""

    name: str
    workers: int
    busy: int
    queued: int
    held: int
    done: int
    failed: int
    done_per_s: float | None
    failed_per_s: float | None


class Top(msgspec.Struct, frozen=True, kw_only=True):
    """`per_s`: rates of the broker's counters, `updates_per_s` of the clone, None where that is not known; the rest is as the overview has it."""

    uptime_s: float
    now: dict[str, int]
    per_s: dict[str, float]
    services: list[ServiceRow]
    clone: dict[str, Any] | None
    updates_per_s: float | None
    durable: dict[str, int]
    away: list[str]


def add_to(app: typer.Typer) -> None:
    command(app, "top")(top)


def top(
    session: Session,
    once: Annotated[
        bool, typer.Option("--once", help="Look twice, a second apart, show it and end.")
    ] = False,
) -> None:
    """Show the services of the bus live, those with the longest queue first. Ctrl-C ends it.

    With --json each look is one line.

    For example:
      wayhouse bus top
      wayhouse bus top --once
      wayhouse bus top --once --json
    """
    looks = compared(_looks(session))
    if once:
        next(looks)
        looks = iter([next(looks)])
    if session.screen.json:
        for look in looks:
            session.screen.data_line(look)
    elif session.screen.is_live and not once:
        draw(session.screen, (lines(look, bar="█") for look in looks))
    else:
        for look in looks:
            for line in lines(look, bar="#"):
                session.screen.line(line)
            session.screen.line()


def compared(looks: Iterable[BusOverview]) -> Iterator[Top]:
    before = None
    for after in looks:
        yield compare(before, after)
        before = after


def compare(before: BusOverview | None, after: BusOverview) -> Top:
    broker = after.broker
    took_s = 0.0 if before is None else broker.uptime_s - before.broker.uptime_s
    known = before.broker if before is not None and took_s > 0 else None
    were = {} if known is None else {one.name: one for one in known.services}
    rows = [_row(were.get(one.name), one, took_s) for one in broker.services]
    counters = {} if known is None else known.counters
    return Top(
        uptime_s=broker.uptime_s,
        now=broker.now,
        per_s={
            name: round((broker.counters[name] - counters[name]) / took_s, 3)
            for name in COUNTED
            if name in counters and name in broker.counters
        },
        services=sorted(rows, key=lambda one: (-one.queued, -(one.done_per_s or 0.0), -one.held, one.name)),
        clone=None if broker.clone is None else msgspec.to_builtins(broker.clone),
        updates_per_s=None if known is None else _updates(known.clone, broker.clone, took_s),
        durable=after.durable,
        away=[one.name for one in after.processes if not one.is_ready],
    )


def lines(top: Top, *, bar: str) -> list[str]:
    """The heading and the table, aligned."""
    longest = max((one.queued for one in top.services), default=0)
    cells = [HEADS, *(_cells(one, longest, bar) for one in top.services)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(HEADS))]
    left = {0, 4}
    table = [
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return [*_heading(top), "", *(table if top.services else ["No services."])]


def _looks(session: Session) -> Iterator[BusOverview]:
    from wayhouse.api.resources import bus
    from wayhouse.base import codec
    from wayhouse.bus.overview import BusOverview

    for text in session.client.follow(bus.FOLLOW, lost=away(session.screen)):
        yield codec.decode_json(text, BusOverview, what="overview")


def _row(before: ServiceFigures | None, now: ServiceFigures, took_s: float) -> ServiceRow:
    is_same = before is not None and before.done <= now.done and before.failed <= now.failed
    return ServiceRow(
        name=now.name,
        workers=now.workers,
        busy=now.busy,
        queued=now.queued,
        held=now.held,
        done=now.done,
        failed=now.failed,
        done_per_s=round((now.done - before.done) / took_s, 3) if before is not None and is_same else None,
        failed_per_s=round((now.failed - before.failed) / took_s, 3)
        if before is not None and is_same
        else None,
    )


def _updates(before: CloneFigures | None, now: CloneFigures | None, took_s: float) -> float | None:
    if before is None or now is None or before.sequence > now.sequence:
        return None
    return round((now.sequence - before.sequence) / took_s, 3)


def _heading(top: Top) -> list[str]:
    if top.away:
        return [f"Away: {', '.join(top.away)}. `wayhouse bus status` says more."]
    now = top.now
    counts = ", ".join(f"{now.get(name, 0)} {name}" for name in ("services", "workers", "queued", "held"))
    told = [f"Broker   up {span(top.uptime_s)}, {counts} ({size(now.get('bytes', 0))})"]
    if top.per_s:
        told.append("Rates    " + ", ".join(f"{rate:g} {name}/s" for name, rate in top.per_s.items()))
    if top.clone is not None:
        rate = "" if top.updates_per_s is None else f", {top.updates_per_s:g} updates/s"
        told.append(
            f"Clone    {top.clone['keys']} keys ({size(top.clone['bytes'])}), {top.clone['subscribers']} subscribers{rate}"
        )
    if top.durable:
        counted = ", ".join(f"{count} {name}" for name, count in top.durable.items() if name != "bytes")
        told.append(f"Durable  {counted} ({size(top.durable.get('bytes', 0))})")
    return told


def _cells(one: ServiceRow, longest: int, bar: str) -> tuple[str, ...]:
    length = -(-one.queued * BAR // longest) if longest else 0
    rate = "" if one.done_per_s is None else f"{one.done_per_s:.1f}"
    counts = (one.held, rate, one.done, one.failed)
    return (one.name, str(one.workers), str(one.busy), str(one.queued), bar * length, *map(str, counts))
