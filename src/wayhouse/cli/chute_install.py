"""`wayhouse chute install` and `update`: send an app, watch it being built, say where its page is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.base.errors import BadInputError
from wayhouse.cli.chute_words import Wait, web_address
from wayhouse.cli.command import command
from wayhouse.cli.session import Session
from wayhouse.cli.watch import finish

if TYPE_CHECKING:
    from wayhouse.api.wire import ChangeView
    from wayhouse.cli.sources import Bundle, Order

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A folder, a tar archive (plain, .gz, .zst), an address (git or archive), or - for standard input.",
    ),
]
Checkout = Annotated[
    str | None, typer.Option("--checkout", metavar="REF", help="The branch, tag or commit of a repository.")
]
NewName = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Call it this.")]
Env = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="K=V", help="Set an environment variable; may be repeated."),
]


def add_to(app: typer.Typer) -> None:
    command(app, "install")(install)
    command(app, "update")(update)


def install(
    session: Session,
    source: Source,
    checkout: Checkout = None,
    name: NewName = None,
    env: Env = None,
    wait: Wait = True,
) -> None:
    """Install an app from a folder, an archive or an address.

    A folder is sent without .git and what its .dockerignore names. Of an address the gateway itself fetches the app; the
    app's name is then taken from the address unless --name says it, and --env replaces the app's own environment.

    For example:
      wayhouse chute install ./my-app
      wayhouse chute install my-app.tar.gz --env GREETING=hi
      wayhouse chute install https://github.com/someone/my-app --checkout v2
      git archive HEAD | wayhouse chute install -
    """
    _send(session, source, checkout, name, env, is_update=False, wait=wait)


def update(
    session: Session,
    source: Source,
    checkout: Checkout = None,
    name: NewName = None,
    env: Env = None,
    wait: Wait = True,
) -> None:
    """Put a new version in place of an installed app; its data stays. If the new one fails, the old one goes on.

    For example:
      wayhouse chute update ./my-app
      wayhouse chute update https://github.com/someone/my-app --checkout v3
    """
    _send(session, source, checkout, name, env, is_update=True, wait=wait)


def _send(
    session: Session,
    source: str,
    checkout: str | None,
    name: str | None,
    env: list[str] | None,
    *,
    is_update: bool,
    wait: bool,
) -> None:
    from wayhouse.cli.sources import Extra, find
    from wayhouse.cli.specification import read_pairs

    found = find(source, Extra(name=name, environment=read_pairs(env or ()), checkout=checkout))
    change = finish(session, _ask(session, found, is_update=is_update), wait=wait)
    if change is not None:
        _tell(session, change, is_update=is_update)


def _ask(session: Session, found: Bundle | Order, *, is_update: bool) -> int:
    """Send the app, or the order to fetch it; the id of the change that follows."""
    from wayhouse.api.resources import chutes
    from wayhouse.api.wire import ChuteOrder
    from wayhouse.cli.sources import Order

    client = session.client
    if isinstance(found, Order):
        order = ChuteOrder(found.config)
        if is_update:
            return client.call(chutes.UPDATE, body=order, chute=found.config["name"]).change_id
        return client.call(chutes.CREATE, body=order).change_id
    name = found.name() if is_update else None
    with found.open() as (data, media):
        if not is_update:
            return client.upload(chutes.CREATE, data, media).change_id
        if name is None:
            raise BadInputError("The app does not say its name. Say which one is to be updated: --name NAME.")
        return client.upload(chutes.UPDATE, data, media, chute=name).change_id


def _tell(session: Session, change: ChangeView, *, is_update: bool) -> None:
    from wayhouse.api.resources import chutes

    chute = session.client.call(chutes.GET, chute=change.name)
    if session.screen.json:
        session.screen.data({"change": change, "chute": chute, "url": web_address(session, chute) or None})
        return
    address = web_address(session, chute)
    done = "updated" if is_update else "installed"
    session.screen.line(f"{chute.name} is {done}" + (f": {address}" if address else "."))
