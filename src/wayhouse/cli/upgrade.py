"""`wayhouse upgrade`: a successor takes over from the daemon while everything stays connected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from wayhouse.base.errors import ConflictError
from wayhouse.cli.command import command
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.runtime.remote import RemoteControl


class NotUpgradedError(ConflictError):
    code = "not-upgraded"
    title = "The gateway was not upgraded"


def add_to(app: typer.Typer) -> None:
    command(app, "upgrade")(upgrade)


def upgrade(session: Session) -> None:
    """Put what is installed now to work: a new daemon takes over, no connection is lost.

    Install the new version first, then run this on the gateway's own machine, as root or the user that runs it. If the new
    version does not start or does not serve, the old one carries on and this says why.

    For example:
      pip install --upgrade wayhouse && wayhouse upgrade
      sudo systemctl reload wayhouse
    """
    from wayhouse.cli.inside import inside

    with inside(session).reach() as remote:
        before = _who(remote)
        for line in _steps(remote):
            session.screen.note(f"{line[:1].upper()}{line[1:]}.")
        now = _who(remote)
    if session.screen.json:
        session.screen.data({"before": before, "now": now})
    else:
        session.screen.line(
            f"Wayhouse {now['version']} serves now, as process {now['pid']}. Nothing was interrupted."
        )


def _who(remote: RemoteControl) -> dict[str, Any]:
    return {"version": remote.call("version"), "pid": remote.call("INFO")["pid"]}


def _steps(remote: RemoteControl) -> Iterator[str]:
    """What the daemon says, until the connection has moved to the successor. Raises `NotUpgradedError`."""
    from wayhouse.runtime.exceptions import AveException, Restarting

    try:
        with remote.stream("upgrade") as lines:
            yield from lines
    except Restarting:
        return
    except AveException as error:
        raise NotUpgradedError(f"{error.details['message']} The gateway runs as before.") from None
