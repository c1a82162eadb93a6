"""`wayhouse token`: API tokens, for programs."""

from __future__ import annotations

from typing import Annotated

import typer

from wayhouse.cli.command import command, noun
from wayhouse.cli.figures import moment
from wayhouse.cli.session import Session

app = noun("token", "API tokens: let programs in.")
DAY_S = 86400.0
HEADS = ("ID", "NAME", "OWNER", "ROLE", "MADE", "LAST USED", "ENDS")


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@command(app, "ls")
def ls(session: Session) -> None:
    """List API tokens: your own, or all if you are an administrator.

    For example:
      wayhouse token ls
    """
    from wayhouse.api.resources import auth

    found = session.client.call(auth.TOKENS)
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [
        (
            one.id,
            one.name,
            one.owner,
            one.role,
            moment(one.created),
            moment(one.last_used),
            moment(one.expires),
        )
        for one in found
    ]
    session.screen.table(HEADS, rows, empty=f"No tokens. Make one: {session.again} token add NAME")


@command(app, "add")
def add(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    role: Annotated[str | None, typer.Option(metavar="ROLE", help="What it may do (your own role).")] = None,
    days: Annotated[
        float | None,
        typer.Option(metavar="N", min=0.001, max=36500, help="How long it lives (until it is ended)."),
    ] = None,
) -> None:
    """Make an API token. It is shown now and never again.

    For example:
      wayhouse token add backup-script
      wayhouse token add dashboard --role guest --days 30
    """
    from wayhouse.api import wire
    from wayhouse.api.resources import auth

    order = wire.NewToken(name, role, days * DAY_S if days is not None else None)
    made = session.client.call(auth.ADD_TOKEN, body=order)
    if session.screen.json:
        session.screen.data(made)
        return
    session.screen.line(made.token)
    session.screen.note(f"Keep it: it is not shown again. `{session.again} token rm {made.id}` ends it.")


@command(app, "rm")
def rm(
    session: Session, token_id: Annotated[str, typer.Argument(metavar="ID", help="As `token ls` shows it.")]
) -> None:
    """End an API token.

    For example:
      wayhouse token rm 4f1c9a
    """
    from wayhouse.api.resources import auth

    result = session.client.call(auth.REVOKE_TOKEN, id=token_id)
    if session.screen.json:
        session.screen.data(result)
    else:
        session.screen.line(f"Token {token_id} is ended.")
