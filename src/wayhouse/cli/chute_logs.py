"""`wayhouse chute logs`: what an app has written, and what it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.cli.chute_words import Name
from wayhouse.cli.command import command
from wayhouse.cli.live import away
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.api.wire import LogLineView

MOST = 5000
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")]
Tail = Annotated[int, typer.Option(metavar="N", min=0, max=MOST, help="Begin with the last N lines.")]
Times = Annotated[bool, typer.Option("--timestamps", "-t", help="With the time of each line.")]


def add_to(app: typer.Typer) -> None:
    command(app, "logs")(logs)


def logs(
    session: Session, name: Name, follow: Follow = False, tail: Tail = 200, timestamps: Times = False
) -> None:
    """Show an app's log. With --json one line is one JSON object.

    For example:
      wayhouse chute logs hello --tail 20
      wayhouse chute logs -f hello
    """
    from wayhouse.api.resources import chutes
    from wayhouse.api.wire import LogLineView
    from wayhouse.base import codec

    services = len(session.client.call(chutes.GET, chute=name).services)
    if not follow:
        for line in session.client.call(chutes.LOGS, query={"tail": tail}, chute=name):
            _show(session, line, several=services > 1, timestamps=timestamps)
        return
    from wayhouse.api.resources import chutes

    for frame in session.client.follow(
        chutes.FOLLOW_LOGS, lost=away(session.screen), query={"tail": tail}, chute=name
    ):
        line = codec.decode_json(frame, LogLineView, what="log line")
        _show(session, line, several=services > 1, timestamps=timestamps)


def _show(session: Session, line: LogLineView, *, several: bool, timestamps: bool) -> None:
    if session.screen.json:
        session.screen.data_line(line)
        return
    parts = [line.timestamp if timestamps else "", f"{line.service}:" if several else "", line.message]
    session.screen.line(" ".join(part for part in parts if part))
