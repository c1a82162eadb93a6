"""`wayhouse audit`: who did what."""

from __future__ import annotations

from typing import Annotated

import typer

from wayhouse.cli.command import command
from wayhouse.cli.figures import moment
from wayhouse.cli.session import Session

HEADS = ("ID", "TIME", "WHO", "BY", "FROM", "WHAT", "ON", "OUTCOME")
MOST = 1000


def add_to(app: typer.Typer) -> None:
    command(app, "audit")(audit)


def audit(
    session: Session,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=MOST, help="How many.")] = 50,
    before: Annotated[int | None, typer.Option(metavar="ID", min=0, help="Continue below this one.")] = None,
) -> None:
    """Show who did what, the newest first. For administrators.

    For example:
      wayhouse audit
      wayhouse audit --limit 200 --json
    """
    from wayhouse.api.resources import auth

    found = session.client.call(auth.AUDIT, query={"limit": limit, "before": before})
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [
        (str(one.id), moment(one.time), one.who, one.via, one.client, one.action, one.target, one.outcome)
        for one in found
    ]
    session.screen.table(HEADS, rows, empty="Nothing was done yet.")
