"""`wayhouse change`: what goes on, what was, how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.cli.command import command, noun
from wayhouse.cli.complete import chute_names
from wayhouse.cli.figures import moment, span
from wayhouse.cli.session import Session
from wayhouse.cli.watch import demand_success, watch

if TYPE_CHECKING:
    from wayhouse.api.wire import ChangeView

app = noun("change", "Changes: what goes on and what was.")
HEADS = ("ID", "WHAT", "NAME", "STATE", "WHO", "ASKED", "TOOK", "REASON")
MOST = 1000

Id = Annotated[int, typer.Argument(metavar="ID", min=0, help="The change's number.")]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@command(app, "ls")
def ls(session: Session) -> None:
    """List the changes that run or wait.

    For example:
      wayhouse change ls
    """
    from wayhouse.api.resources import changes

    _table(
        session,
        session.client.call(changes.LIST),
        empty="Nothing goes on. `wayhouse change history` shows what was.",
    )


@command(app, "watch")
def watch_one(session: Session, change_id: Id) -> None:
    """Show a change's steps, from its first to its last. With --json one line is one JSON object, the last the change.

    For example:
      wayhouse change watch 7
    """
    from wayhouse.api.resources import changes

    session.client.call(changes.GET, id=change_id)
    screen = session.screen
    if screen.json:
        change = watch(
            session, change_id, each=lambda at, text: screen.data_line({"time": at, "message": text})
        )
        screen.data_line(change)
    elif screen.is_live:
        change = watch(session, change_id)
    else:
        change = watch(session, change_id, each=lambda _, text: screen.line(text))
    demand_success(change)


@command(app, "cancel")
def cancel(session: Session, change_id: Id) -> None:
    """Take back a change that waits. One that runs cannot be stopped.

    For example:
      wayhouse change cancel 7
    """
    from wayhouse.api.resources import changes

    change = session.client.call(changes.CANCEL, id=change_id)
    if session.screen.json:
        session.screen.data(change)
    else:
        session.screen.line(f"Change {change.id} is {change.state}.")


@command(app, "show")
def show(session: Session, change_id: Id) -> None:
    """Show one change.

    For example:
      wayhouse change show 7
    """
    from wayhouse.api.resources import changes

    change = session.client.call(changes.GET, id=change_id)
    if session.screen.json:
        session.screen.data(change)
        return
    pairs = [
        ("Change", str(change.id)),
        ("What", f"{change.updateType} {change.name}"),
        ("State", change.state),
        ("Reason", change.reason or ""),
        ("Who", change.user.name),
        ("Asked", moment(change.created)),
        ("Started", moment(change.started)),
        ("Ended", moment(change.ended)),
        ("Took", _took(change)),
    ]
    session.screen.lines([pair for pair in pairs if pair[1]])


@command(app, "history")
def history(
    session: Session,
    chute: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this app.", autocompletion=chute_names)
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=MOST, help="How many.")] = 20,
    before: Annotated[int | None, typer.Option(metavar="ID", min=0, help="Continue below this one.")] = None,
) -> None:
    """List changes of all states, the newest first.

    For example:
      wayhouse change history
      wayhouse change history --chute hello --limit 5
    """
    from wayhouse.api.resources import changes

    found = session.client.call(changes.HISTORY, query={"chute": chute, "limit": limit, "before": before})
    _table(session, found, empty="No changes yet.")


def _table(session: Session, found: list[ChangeView], *, empty: str) -> None:
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [
        (
            str(one.id),
            one.updateType,
            one.name,
            one.state,
            one.user.name,
            moment(one.created),
            _took(one),
            one.reason or "",
        )
        for one in found
    ]
    session.screen.table(HEADS, rows, empty=empty)


def _took(change: ChangeView) -> str:
    if change.started is None or change.ended is None:
        return ""
    return span(change.ended - change.started)
