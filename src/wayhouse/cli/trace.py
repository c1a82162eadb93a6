"""`wayhouse trace`: where each process of the gateway is right now. Works on a daemon that is stuck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.cli.command import command
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.runtime.sight.overview import Trace

HOW = {
    "own": "told by itself",
    "signal": "told on a signal",
    "kernel": "told by the kernel",
}
Who = Annotated[str | None, typer.Argument(metavar="[NAME|PID]", help="A name, a role, an app or a pid.")]


def add_to(app: typer.Typer) -> None:
    command(app, "trace")(trace)


def trace(session: Session, who: Who = None) -> None:
    """Show where the gateway's processes are: the stacks of their threads and tasks, without secrets.

    Also of a gateway that is stuck. On its own machine, for root and the user that runs it.

    For example:
      wayhouse trace
      wayhouse trace gateway
      wayhouse trace 4711 --json
    """
    from wayhouse.cli.inside import STUCK, inside

    found = inside(session)
    said = False
    for one in found.traces(who):
        if not found.answers and not said:
            said = True
            session.screen.note(STUCK)
        if session.screen.json:
            session.screen.data_line(one)
        else:
            show(session, one)


def show(session: Session, one: Trace) -> None:
    """A heading, the stacks, an empty line."""
    app = f" of {one.belongs_to}" if one.belongs_to else ""
    role = f" ({one.role}{app})" if one.role and one.role != one.name else ""
    session.screen.line(f"== {one.name}{role}, pid {one.pid}, {HOW[one.how]}")
    if one.note:
        session.screen.line(one.note)
    session.screen.line(one.text)
