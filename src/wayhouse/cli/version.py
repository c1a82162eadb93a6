"""`wayhouse version`: of this program, and of the gateway if one answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from wayhouse import __version__
from wayhouse.base.errors import WayhouseError
from wayhouse.cli.command import command
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.api.wire import VersionView


def add_to(app: typer.Typer) -> None:
    command(app, "version")(version)


def show_own(wanted: bool) -> None:
    """The callback of `wayhouse --version`."""
    if wanted:
        typer.echo(f"wayhouse {__version__}")
        raise typer.Exit


def version(session: Session) -> None:
    """Show the versions of this program and of the gateway.

    For example:
      wayhouse version
      wayhouse version --json
    """
    gateway, reason = _gateway(session)
    if session.screen.json:
        session.screen.data({"version": __version__, "gateway": gateway})
        return
    session.screen.line(f"wayhouse {__version__}")
    if gateway is not None:
        session.screen.line(f"gateway  {gateway.version} ({gateway.engine} {gateway.engine_version})")
    else:
        session.screen.note(reason)


def _gateway(session: Session) -> tuple[VersionView | None, str]:
    from wayhouse.api.resources import system

    try:
        return session.client.call(system.VERSION), ""
    except WayhouseError as error:
        return None, error.message
