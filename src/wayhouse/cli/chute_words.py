"""What the commands about apps share: their arguments, and where an app's page is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.cli.complete import chute_names
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.api.wire import ChuteView

Name = Annotated[str, typer.Argument(metavar="NAME", help="The app's name.", autocompletion=chute_names)]
Wait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Watch the change to its end, or only ask for it.")
]


def web_address(session: Session, chute: ChuteView) -> str:
    """The address of the app's page as this machine sees it; "" if it has none."""
    from wayhouse.api.client_transport import bracketed

    if chute.web is None:
        return ""
    place = session.choice.place
    host = bracketed(place.host) if place.host else "127.0.0.1"
    if chute.web.host_port is not None:
        return f"http://{host}:{chute.web.host_port}/"
    return f"{place}{chute.web.path}" if place.scheme != "unix" else chute.web.path
