"""`wayhouse device`: the devices of a gateway. Changing them and their history are in files of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.cli import device_change, device_history, device_watch
from wayhouse.cli.command import command, noun
from wayhouse.cli.device_words import Command, Name, described, facts, main_value, plain, shown, value_of
from wayhouse.cli.figures import moment
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.devices.model import DeviceView

app = noun("device", "Devices: look at them, tell them what to do, see what was.")
HEADS = ("NAME", "TYPE", "AREA", "DRIVER", "STATE", "VALUE", "SEEN")

Area = Annotated[str | None, typer.Option("--area", metavar="AREA", help="Only those of this area.")]
Driver = Annotated[str | None, typer.Option("--driver", metavar="DRIVER", help="Only those of this driver.")]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@command(app, "ls")
def ls(session: Session, area: Area = None, driver: Driver = None) -> None:
    """List the devices with their newest values.

    For example:
      wayhouse device ls
      wayhouse device ls --area kitchen
      wayhouse device ls --json
    """
    from wayhouse.api.resources import devices

    found = session.client.call(devices.LIST, query={"area": area, "driver": driver})
    if session.screen.json:
        session.screen.data(found)
        return
    empty = f"No devices. Which drivers work: {session.again} device drivers"
    session.screen.table(HEADS, [_row(one) for one in found], empty=empty)


@command(app, "show")
def show(session: Session, name: Name) -> None:
    """Show one device: what it is, how it is, and its values.

    For example:
      wayhouse device show boiler
    """
    from wayhouse.api.resources import devices

    device = session.client.call(devices.GET, device=name)
    if session.screen.json:
        session.screen.data(device)
        return
    session.screen.lines(facts(device))
    session.screen.line()
    rows = [(path, shown(last), moment(last.time)) for path, last in device.values.items()]
    session.screen.table(("COMMAND", "VALUE", "READ"), rows, empty="No values are known yet.")


@command(app, "get")
def get(
    session: Session,
    name: Name,
    what: Command = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask the device, not what is known of it.")] = False,
) -> None:
    """Print one value.

    For example:
      wayhouse device get boiler
      wayhouse device get tv-volume level --fresh
    """
    from wayhouse.api.resources import devices

    what = what or _main_command(session.client.call(devices.GET, device=name))
    query = {"fresh": 1} if fresh else None
    found = session.client.call(devices.READ, query=query, device=name, command=what)
    if session.screen.json:
        session.screen.data(found)
    else:
        session.screen.line(plain(found.value, found.unit))


@command(app, "set")
def set_(
    session: Session,
    name: Name,
    what: Annotated[str, typer.Argument(metavar="COMMAND", help="Such as power or level.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="on, off, a number, a text, or JSON.")],
) -> None:
    """Tell a device what to do.

    For example:
      wayhouse device set lamp power on
      wayhouse device set tv-volume level 20
      wayhouse device set tv volume.mute on
    """
    from wayhouse.api.resources import devices
    from wayhouse.api.wire_devices import Told

    device = session.client.call(devices.GET, device=name)
    known = described(session, device)
    path = next((f"{one}.{what}" for one in device.subdevices if f"{device.name}-{one}" == name), what)
    told = Told(value_of(value, known.get(path, {}).get("valuetype", "")))
    found = session.client.call(devices.TELL, body=told, device=name, command=what)
    if session.screen.json:
        session.screen.data(found)
    else:
        session.screen.line(f"{name}: {what} is {plain(found.value, found.unit)}.")


device_change.add_to(app)


@command(app, "types")
def types(session: Session) -> None:
    """List the types of devices and what they can be told. With --json as JSON Schema.

    For example:
      wayhouse device types
    """
    from wayhouse.api.resources import devices

    found = session.client.call(devices.TYPES)
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [
        (oid, ", ".join(_live(one["commands"])), ", ".join(one.get("subdevices", {})))
        for oid, one in found.items()
    ]
    session.screen.table(("TYPE", "COMMANDS", "SUB-DEVICES"), rows, empty="No types.")


@command(app, "drivers")
def drivers(session: Session) -> None:
    """List the drivers, how they do, and what they did since the gateway started.

    For example:
      wayhouse device drivers
    """
    from wayhouse.api.resources import devices

    found = session.client.call(devices.DRIVERS)
    if session.screen.json:
        session.screen.data(found)
        return
    counted = ("devices", "readings", "commands", "failures")
    rows = [
        (one.name, "ok" if one.is_well else "failed", *(str(one.counts.get(key, 0)) for key in counted))
        for one in found
    ]
    heads = ("DRIVER", "STATE", *(one.upper() for one in counted))
    session.screen.table(
        heads, rows, empty="No drivers. The section [devices] of the settings says which there are."
    )


device_watch.add_to(app)
device_history.add_to(app)


def _row(device: DeviceView) -> tuple[str, ...]:
    state = "ok" if device.is_available else "missing"
    return (
        device.name,
        device.oid,
        device.area,
        device.driver,
        state,
        main_value(device),
        moment(device.last_seen),
    )


def _main_command(device: DeviceView) -> str:
    return "value" if "value" in device.commands else next(iter(device.values), "commands")


def _live(commands: dict[str, dict[str, object]]) -> list[str]:
    """Those that are the type's own: every device has the others."""
    return [name for name in commands if name not in {"commands", "config", "poll", "log", "reset"}]
