"""`wayhouse bus`: how the bus does, asking its services by hand, the keys of the clone. The live table is in a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.cli import bus_key, bus_top
from wayhouse.cli.bus_words import TTL, VALUE_HELP, piece_of, say, short, shown
from wayhouse.cli.command import command, noun
from wayhouse.cli.figures import count, size, span
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.bus.overview import BusOverview, BusProcess

app = noun("bus", "The message bus: how it does, asking services by hand, the keys of the clone.")
MOST_LISTED = 1000
MOST_WAIT_S = 55

Prefix = Annotated[str, typer.Argument(metavar="[PREFIX]", help="How the keys begin, such as /device/.")]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@command(app, "status")
def status(session: Session) -> None:
    """Show the processes of the bus, where programs connect to, and how much there is to do.

    For example:
      wayhouse bus status
      wayhouse bus status --json
    """
    from wayhouse.api.resources import bus

    found = session.client.call(bus.OVERVIEW)
    if session.screen.json:
        session.screen.data(found)
        return
    session.screen.lines([*_processes(found), *_figures(found)])
    if all(one.is_ready for one in found.processes):
        session.screen.line()
        session.screen.table(("FOR", "ADDRESS"), list(found.endpoints.items()), empty="")


@command(app, "services")
def services(session: Session) -> None:
    """List the services that have workers or waiting requests.

    For example:
      wayhouse bus services
      wayhouse bus services --json
    """
    from wayhouse.api.resources import bus

    found = session.client.call(bus.SERVICES)
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [
        (one.name, str(one.workers), str(one.busy), str(one.queued), str(one.done), str(one.failed))
        for one in found
    ]
    session.screen.table(
        ("SERVICE", "WORKERS", "BUSY", "QUEUED", "DONE", "FAILED"), rows, empty="No services."
    )


@command(app, "workers")
def workers(
    session: Session,
    service: Annotated[
        str | None, typer.Argument(metavar="[SERVICE]", help="Only those of this service.")
    ] = None,
) -> None:
    """List the workers: what they serve, how much they hold, when they were last heard of.

    For example:
      wayhouse bus workers
      wayhouse bus workers localhost.fake.devices
    """
    from wayhouse.api.resources import bus

    found = session.client.call(bus.WORKERS, query={"service": service})
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [
        (
            one.service,
            one.identity,
            one.protocol,
            f"{one.held} of {one.credit}",
            str(one.done),
            f"busy for {span(one.busy_s)}" if one.busy_s is not None else f"idle for {span(one.idle_s or 0)}",
            f"{span(one.seen_s)} ago",
        )
        for one in found
    ]
    heads = ("SERVICE", "WORKER", "PROTOCOL", "HOLDS", "DONE", "STATE", "SEEN")
    session.screen.table(heads, rows, empty="No workers.")


@command(app, "requests")
def requests(
    session: Session,
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="[STATE|SERVICE]", help="waiting, sent, answered, failed, or part of a service's name."
        ),
    ] = "",
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=MOST_LISTED, help="How many.")
    ] = 50,
) -> None:
    """List durable requests, newest first: those that wait, and those whose answers are kept.

    For example:
      wayhouse bus requests
      wayhouse bus requests waiting
      wayhouse bus requests localhost.fake -n 10
    """
    from wayhouse.api.resources import bus

    found = session.client.call(bus.REQUESTS, query={"filter": wanted, "limit": limit})
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [
        (
            one.uuid,
            one.service,
            one.state,
            "once" if one.once else "",
            size(one.bytes),
            "" if one.attempts is None else str(one.attempts),
            span(one.expires_s),
        )
        for one in found.requests
    ]
    heads = ("REQUEST", "SERVICE", "STATE", "", "SIZE", "ATTEMPTS", "EXPIRES IN")
    session.screen.table(heads, rows, empty="No durable requests.")
    session.screen.note(_durable(found.counts) + (", not all are shown" if found.is_cut else ""))


@command(app, "call")
def call(
    session: Session,
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="For example localhost.fake.devices.")],
    frames: Annotated[list[str] | None, typer.Argument(metavar="[FRAME]...", help=VALUE_HELP)] = None,
    timeout: Annotated[
        float,
        typer.Option("--timeout", metavar="SECONDS", min=0.1, max=MOST_WAIT_S, help="How long to wait."),
    ] = 10.0,
    wait: Annotated[
        bool, typer.Option("--wait", help="Where nobody serves it now, wait for a worker to come.")
    ] = False,
    durable: Annotated[
        bool, typer.Option("--durable", help="Kept on disk until it is done, also while the service is away.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Rather no answer than to be done twice.")] = False,
    request_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Of a durable request: with the same id it is done once."),
    ] = None,
) -> None:
    """Ask a service and show its reply, a frame a line.

    For example:
      wayhouse bus call localhost.fake.devices list_keys
      wayhouse bus call mmi.service echo
      wayhouse bus call --wait --timeout 50 kitchen.greeter world
      wayhouse bus call --durable localhost.fake.devices set lamp power true
    """
    from wayhouse.api.resources import bus
    from wayhouse.api.wire_bus import CallOrder

    order = CallOrder(
        service=service,
        request=[piece_of(frame) for frame in frames or ()],
        timeout_s=timeout,
        wait=wait,
        durable=durable,
        once=once,
        id=request_id,
    )
    found = session.client.call(bus.CALL, body=order)
    if session.screen.json:
        session.screen.data(found)
        return
    for one in found.reply:
        session.screen.line(shown(one))
    session.screen.note(f"Took {found.took_s * 1000:.1f} ms.")


@command(app, "publish")
def publish(
    session: Session,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A path, such as /house/mode.")],
    value: Annotated[str, typer.Argument(metavar="[VALUE]", help=VALUE_HELP)] = "",
    ttl: Annotated[float | None, TTL] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the key.")] = False,
) -> None:
    """Publish a key on the clone, for all who follow it.

    For example:
      wayhouse bus publish /house/mode night
      wayhouse bus publish /house/doorbell 1 --ttl 5
      wayhouse bus publish /house/mode --delete
    """
    from wayhouse.api.resources import bus
    from wayhouse.api.wire_bus import KeyOrder
    from wayhouse.base.errors import BadInputError

    if bool(value) is delete:
        raise BadInputError("Give a value, or --delete.")
    if delete:
        say(session, session.client.call(bus.DELETE_KEY, query={"key": key}), f"{key} is deleted.")
        return
    order = KeyOrder(value=piece_of(value), ttl_s=ttl)
    say(session, session.client.call(bus.PUBLISH, body=order, query={"key": key}), f"{key} is published.")


@command(app, "keys")
def keys(
    session: Session,
    prefix: Prefix = "",
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=10_000, help="How many.")
    ] = 1000,
) -> None:
    """List keys of the clone with their values, by name.

    For example:
      wayhouse bus keys
      wayhouse bus keys /device/
    """
    from wayhouse.api.resources import bus

    found = session.client.call(bus.LIST_KEYS, query={"prefix": prefix, "limit": limit})
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [(one.key, size(one.bytes), short(one.value)) for one in found.keys]
    session.screen.table(("KEY", "SIZE", "VALUE"), rows, empty="No such keys.")
    if found.is_cut:
        session.screen.note(
            f"{len(found.keys)} of {count(found.total, 'key')}; a longer prefix shows others."
        )


@command(app, "watch")
def watch(
    session: Session,
    prefix: Prefix = "",
    values: Annotated[bool, typer.Option("--values", help="Begin with the values that there are.")] = False,
) -> None:
    """Show keys of the clone as they change, until Ctrl-C. With --json each line is a frame of the stream.

    For example:
      wayhouse bus watch
      wayhouse bus watch /device/ --values
    """
    from wayhouse.api.resources import bus
    from wayhouse.api.wire_bus import KeyFrame
    from wayhouse.base import codec

    for text in session.client.follow(bus.FOLLOW_KEYS, query={"prefix": prefix, "values": int(values)}):
        frame = codec.decode_json(text, KeyFrame, what="frame")
        if session.screen.json:
            session.screen.data_line(frame)
        elif frame.change is not None:
            gone = frame.change.value is None
            session.screen.line(f"{frame.change.key}  {'(deleted)' if gone else short(frame.change.value)}")
        elif frame.total is not None:
            session.screen.note(f"Watching {count(frame.total, 'key')}. Ctrl-C ends it.")


bus_top.add_to(app)
bus_key.add_to(app)


def _processes(found: BusOverview) -> list[tuple[str, str]]:
    told = []
    for one in found.processes:
        told.append((one.name.capitalize(), _process(one)))
        told += [("", line) for line in one.lines[-3:]]
    return told


def _process(one: BusProcess) -> str:
    word = "running" if one.is_ready else "starting" if one.pid else "not running"
    again = f", started anew {count(one.restarts, 'time')}" if one.restarts else ""
    return f"{word}{f' (pid {one.pid})' if one.pid else ''}{again}"


def _figures(found: BusOverview) -> list[tuple[str, str]]:
    now, told = found.broker.now, list[tuple[str, str]]()
    if now:
        told.append(("Up for", span(found.broker.uptime_s)))
        told.append(("Services", f"{now.get('services', 0)} with {count(now.get('workers', 0), 'worker')}"))
        told.append(("Requests", f"{now.get('queued', 0)} queued, {now.get('held', 0)} at workers"))
    if found.broker.clone is not None:
        clone = found.broker.clone
        told.append(
            (
                "Clone",
                f"{count(clone.keys, 'key')} ({size(clone.bytes)}), {count(clone.subscribers, 'subscriber')}",
            )
        )
    if found.durable:
        told.append(("Durable", _durable(found.durable)))
    return told


def _durable(counts: dict[str, int]) -> str:
    told = ", ".join(f"{many} {state}" for state, many in counts.items() if state != "bytes")
    return f"{told}; {size(counts.get('bytes', 0))} on disk"
