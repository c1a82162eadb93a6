"""`wayhouse device rename|move|config|add|rm`: which devices there are, what they are called and how they are set up."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from wayhouse.cli.command import command
from wayhouse.cli.device_words import Name
from wayhouse.cli.session import Session

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set one key, for example poll=10; may be repeated."),
]


def add_to(app: typer.Typer) -> None:
    command(app, "rename")(rename)
    command(app, "move")(move)
    command(app, "config")(config)
    command(app, "add")(add)
    command(app, "rm")(rm)


def rename(
    session: Session, name: Name, new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")]
) -> None:
    """Give a device another name. What refers to the old one goes on working.

    For example:
      wayhouse device rename 28-000005e2fdc3 boiler
    """
    _patch(session, name, f"{name} is called {new} now.", name=new)


def move(
    session: Session, name: Name, area: Annotated[str, typer.Argument(metavar="AREA", help='"" for none.')]
) -> None:
    """Place a device in an area of the house.

    For example:
      wayhouse device move boiler cellar
    """
    _patch(session, name, f"{name} is in {area} now." if area else f"{name} is in no area now.", area=area)


def config(session: Session, name: Name, settings: Set = None) -> None:
    """Show a device's config, or set keys of it; `KEY=null` takes one away.

    For example:
      wayhouse device config boiler
      wayhouse device config boiler --set poll=10 --set log=true
    """
    from wayhouse.api.resources import devices
    from wayhouse.cli.specification import with_settings

    before = session.client.call(devices.GET, device=name)
    found = before.config
    if settings:
        merged = {**found, **with_settings(found, settings)}
        body = {key: value for key, value in merged.items() if value is not None}
        found = session.client.call(devices.CONFIGURE, body=body, device=before.id).config
    _show(session, found)


def add(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    oid: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="What it is; see `wayhouse device types`.")
    ],
    driver: Annotated[
        str, typer.Option("--driver", metavar="DRIVER", help="Who reaches it; see `wayhouse device drivers`.")
    ],
    address: Annotated[
        str,
        typer.Option("--address", metavar="PLACE", help="Where the driver finds it; its name if not given."),
    ] = "",
    settings: Set = None,
) -> None:
    """Add a device by hand, where the driver does not find it by itself.

    For example:
      wayhouse device add porch --type switch --driver fake
      wayhouse device add attic --type sensor.temperature --driver fake --set poll=10
    """
    from wayhouse.api.resources import devices
    from wayhouse.api.wire_devices import NewDevice
    from wayhouse.cli.specification import with_settings

    given = {"oid": oid, "name": name, **with_settings({}, settings or [])}
    made = session.client.call(devices.CREATE, body=NewDevice(driver, given, address))
    if session.screen.json:
        session.screen.data(made)
    else:
        session.screen.line(f"{made.name} is added.")


def rm(
    session: Session,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a device and its history. One that its driver still sees comes back as a new one.

    For example:
      wayhouse device rm porch
      wayhouse device rm porch --yes
    """
    from wayhouse.api.resources import devices

    device = session.client.call(devices.GET, device=name)
    question = f"Remove {device.name} and its history?"
    if not yes and not session.screen.confirm(
        question, otherwise="Add --yes to remove a device and its history."
    ):
        raise typer.Exit(1)
    removed = session.client.call(devices.DELETE, device=device.id)
    if session.screen.json:
        session.screen.data(removed)
    else:
        session.screen.line(f"{removed.name} is removed.")


def _patch(session: Session, device: str, outcome: str, **change: str) -> None:
    from wayhouse.api.resources import devices
    from wayhouse.api.wire_devices import DevicePatch

    found = session.client.call(devices.PATCH, body=DevicePatch(**change), device=device)
    if session.screen.json:
        session.screen.data(found)
    else:
        session.screen.line(outcome)


def _show(session: Session, config: dict[str, Any]) -> None:
    from wayhouse.base import codec

    if session.screen.json:
        session.screen.data(config)
    else:
        session.screen.line(codec.encode_yaml(config).rstrip())
