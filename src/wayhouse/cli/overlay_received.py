"""What peers of an overlay share with this gateway, as `wayhouse overlay shares --received` lists it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.overlay.views import Received

HEADS = ("WHAT", "FROM", "MAY", "STATE")


def show_received(session: Session, name: str) -> None:
    from wayhouse.api.resources import overlays

    found = session.client.call(overlays.RECEIVED, name=name)
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [row for one in found for row in _rows(one, name)]
    session.screen.table(HEADS, rows, empty="No peer that is linked shares anything with this gateway.")


def _rows(one: Received, overlay: str) -> Iterator[tuple[str, ...]]:
    peer = f"{one.name}.{overlay}"
    for device in one.devices:
        state = "available" if device.is_available else device.reason
        yield f"device:{device.name}", peer, device.may, state
    for port, app in one.apps.items():
        yield f"app:{app}", peer, "use", f"http://{peer}:{port}/"
    for service in one.services:
        yield f"service:{service}", peer, "use", ""
