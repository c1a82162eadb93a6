"""`wayhouse device history|log`: the values that a device had, as a table or a chart, and what happened to it."""

from __future__ import annotations

import enum
import shutil
from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.cli.command import command
from wayhouse.cli.device_words import Command, Name, noted, plain
from wayhouse.cli.figures import moment, span
from wayhouse.cli.live import away
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.api.wire_devices import ReadingsView

MOST_LOG, MOST_POINTS = 500, 2016
TABLE, CHART = 96, 300
"""Parts: of a day, those are half hours and five minutes."""
MARGIN = 16
"""What the axis of the chart may take of a line."""


class Range(enum.StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


def add_to(app: typer.Typer) -> None:
    command(app, "history")(history)
    command(app, "log")(log)


def history(
    session: Session,
    name: Name,
    what: Command = None,
    length: Annotated[Range, typer.Option("--range", help="How far back.")] = Range.DAY,
    points: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=MOST_POINTS, help="At most so many parts [96, of a chart 300]."),
    ] = None,
    graph: Annotated[bool, typer.Option("--graph", help="Draw a chart.")] = False,
) -> None:
    """Show the history of a value: lowest, mean and highest of each part of the time.

    For example:
      wayhouse device history boiler
      wayhouse device history boiler --graph --range week
      wayhouse device history roof direction --json
    """
    from wayhouse.api.resources import devices, readings

    what = what or _kept(session.client.call(devices.GET, device=name).commands)
    query = {"range": length.value, "points": points or (CHART if graph else TABLE)}
    found = session.client.call(readings.READINGS, query=query, device=name, command=what)
    if session.screen.json:
        session.screen.data(found)
    elif graph:
        _draw(session, found)
    else:
        unit = found.unit
        rows = [
            (
                moment(one.time),
                plain(one.minimum, unit),
                plain(one.mean, unit),
                plain(one.maximum, unit),
                str(one.count),
            )
            for one in found.buckets
        ]
        session.screen.table(
            ("TIME", "LOWEST", "MEAN", "HIGHEST", "VALUES"), rows, empty=_nothing(session, found)
        )


def log(
    session: Session,
    name: Name,
    limit: Annotated[
        int, typer.Option("--tail", metavar="N", min=1, max=MOST_LOG, help="At most so many entries.")
    ] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
) -> None:
    """Show what happened to a device and who did it, oldest first. With --follow --json each line is an entry.

    For example:
      wayhouse device log lamp
      wayhouse device log lamp --tail 5
      wayhouse device log -f lamp
    """
    from wayhouse.api.resources import devices

    if follow:
        _follow_log(session, name, limit)
        return
    found = session.client.call(devices.LOG, query={"limit": limit}, device=name)[::-1]
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [(moment(one.time), one.kind, one.who, one.text) for one in found]
    session.screen.table(("TIME", "WHAT", "WHO", "TEXT"), rows, empty="Nothing has happened yet.")


def _follow_log(session: Session, name: str, tail: int) -> None:
    from wayhouse.api.resources import devices
    from wayhouse.base import codec
    from wayhouse.devices.model import LogEntry

    for frame in session.client.follow(
        devices.FOLLOW_LOG, lost=away(session.screen), query={"tail": tail}, device=name
    ):
        entry = codec.decode_json(frame, LogEntry, what="log entry")
        if session.screen.json:
            session.screen.data_line(entry)
        else:
            session.screen.line(f"{moment(entry.time)}  {noted(entry)}")


def _draw(session: Session, found: ReadingsView) -> None:
    from wayhouse.cli.chart import ASCII, BLOCKS, chart, columns

    if not found.buckets:
        session.screen.note(_nothing(session, found))
        return
    first, last = found.buckets[0].time, found.buckets[-1].time + found.buckets[-1].step_s
    width = max(20, min(shutil.get_terminal_size().columns - MARGIN, len(found.buckets)))
    means = columns([(one.time, one.mean) for one in found.buckets], first, last, width)
    blocks = BLOCKS if "utf" in (getattr(session.screen.out, "encoding", None) or "utf-8").lower() else ASCII
    session.screen.line(
        f"{found.name} {found.command}, {moment(first)} to {moment(last)} ({span(last - first)})"
    )
    for line in chart(means, blocks=blocks, unit=found.unit):
        session.screen.line(line)


def _kept(commands: tuple[str, ...]) -> str:
    """The command whose history is meant if none is said."""
    return next((one for one in ("value", "level", "power", *commands) if one in commands), "value")


def _nothing(session: Session, found: ReadingsView) -> str:
    hint = f"{session.again} device config {found.name} --set log=true"
    return f"There are no readings of {found.name} {found.command} in this time. Keep its history: {hint}"
