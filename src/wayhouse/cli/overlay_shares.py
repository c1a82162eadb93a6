"""`wayhouse overlay share`, `unshare` and `shares`: what this gateway gives to peers: devices, services of the bus, and apps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.base.errors import BadInputError, NotFoundError
from wayhouse.cli.command import command
from wayhouse.cli.overlay_received import show_received
from wayhouse.cli.overlay_words import Overlay, chosen, names_of, setup_of, short, tune, uid_of
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.overlay.shares import Share

HEADS = ("WHAT", "TO", "MAY", "PORT")
DEVICE = "device:"
What = Annotated[
    str, typer.Argument(metavar="WHAT", help="device:NAME, device:*, service:NAME or app:CHUTE.")
]
WEB_PORT = 80


def add_to(parent: typer.Typer) -> None:
    command(parent, "shares")(shares)
    command(parent, "share")(share)
    command(parent, "unshare")(unshare)


def shares(
    session: Session,
    overlay: Overlay = None,
    received: Annotated[
        bool, typer.Option("--received", "-r", help="What peers share with this gateway instead.")
    ] = False,
) -> None:
    """List what this gateway shares with peers. What is not in the list, nobody is given.

    For example:
      wayhouse overlay shares
      wayhouse overlay shares --received
    """
    from wayhouse.api.resources import overlays

    name = chosen(session, overlay)
    if received:
        show_received(session, name)
        return
    found = setup_of(session, name).shares
    if session.screen.json:
        session.screen.data(found)
        return
    links = session.client.call(overlays.LINKS, name=name)
    devices = _device_names(session) if any(one.what.startswith(DEVICE) for one in found) else {}
    names = names_of(links)
    rows = [_row(one, devices, names) for one in found]
    empty = f"Nothing is shared. Share a device: {session.again} overlay share device:NAME --to any"
    session.screen.table(HEADS, rows, empty=empty)


def share(
    session: Session,
    what: What,
    to: Annotated[
        str, typer.Option("--to", metavar="WHO", help="Which peers: any, tag:TAG, a name or a uid.")
    ],
    command: Annotated[
        bool, typer.Option("--command", help="They may command it, too, not only read it.")
    ] = False,
    port: Annotated[
        int | None, typer.Option("--port", metavar="N", help="Of an app: at which port of this gateway (80).")
    ] = None,
    overlay: Overlay = None,
) -> None:
    """Share a device, a service of the bus, or an app with peers. They see it as their own while it is shared.

    For example:
      wayhouse overlay share device:lamp --to tag:family --command
      wayhouse overlay share device:* --to barn
      wayhouse overlay share service:kitchen.greeter --to any
      wayhouse overlay share app:hello --to any --port 8080
    """
    from wayhouse.overlay.orders import Tuning
    from wayhouse.overlay.shares import May, Share

    name = chosen(session, overlay)
    is_app = what.startswith("app:")
    one = Share(
        what=_lasting(session, what),
        to=_who(session, name, to),
        may=May.COMMAND if command else May.READ,
        port=port or (WEB_PORT if is_app else 0),
    )
    setup = setup_of(session, name)
    others = [each for each in setup.shares if (each.what, each.to) != (one.what, one.to)]
    at = f" at port {one.port}" if one.port else ""
    wish = Tuning(shares=(*others, one), if_revision=setup.revision)
    tune(session, name, wish, f"{what} is shared with {to}{at}.")


def unshare(
    session: Session,
    what: What,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="WHO", help="Only with these; left out: with nobody any more."),
    ] = None,
    overlay: Overlay = None,
) -> None:
    """Take back what is shared. Peers lose it at once.

    For example:
      wayhouse overlay unshare device:lamp
      wayhouse overlay unshare app:hello --to barn
    """
    from wayhouse.overlay.orders import Tuning

    name = chosen(session, overlay)
    setup = setup_of(session, name)
    before = setup.shares
    words = {
        what,
        *(f"{DEVICE}{key}" for key, known in _names_if(session, what).items() if DEVICE + known == what),
    }
    who = None if to is None else _who(session, name, to)
    left = tuple(one for one in before if one.what not in words or who not in {None, one.to})
    if len(left) == len(before):
        raise NotFoundError(
            f"{what} is not shared like this. See what is: {session.again} overlay shares -o {name}"
        )
    with_whom = "nobody" if to is None else f"{to} no more"
    wish = Tuning(shares=left, if_revision=setup.revision)
    tune(session, name, wish, f"{what} is shared with {with_whom}.")


def _lasting(session: Session, what: str) -> str:
    """Devices are shared by their ids, which outlast their names. Raises `NotFoundError`, `BadInputError`."""
    from wayhouse.api.resources import devices
    from wayhouse.overlay.shares import EVERY

    name = what.removeprefix(DEVICE)
    if name in {what, "", EVERY}:
        return what
    found = session.client.call(devices.GET, device=name)
    if found.driver == "peers":
        raise BadInputError(f"{name} is a device of another gateway, which alone can share it.")
    if name not in {found.id, found.name, found.fullname}:
        raise BadInputError(f"{name} is not a whole device. Share {found.name}.")
    return DEVICE + found.id


def _who(session: Session, overlay: str, text: str) -> str:
    """As shares have it: names become uids, since names change."""
    from wayhouse.overlay.policy import ANY, TAG

    return text if text == ANY or text.startswith(TAG) else uid_of(session, overlay, text)


def _names_if(session: Session, what: str) -> dict[str, str]:
    return _device_names(session) if what.startswith(DEVICE) else {}


def _device_names(session: Session) -> dict[str, str]:
    from wayhouse.api.resources import devices

    return {one.id: one.name for one in session.client.call(devices.LIST)}


def _row(one: Share, devices: dict[str, str], peers: dict[str, str]) -> tuple[str, ...]:
    from wayhouse.overlay.model import is_uid
    from wayhouse.overlay.shares import Good

    is_device = one.good is Good.DEVICE
    what = DEVICE + devices.get(one.name, one.name) if is_device else one.what
    to = short(one.to, peers) if is_uid(one.to) else one.to
    return what, to, one.may.value if is_device else "use", str(one.port or "")
