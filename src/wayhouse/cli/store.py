"""`wayhouse store`: values that programs keep with the bus, with revisions, a history and a time to live."""

from __future__ import annotations

from typing import Annotated

import typer

from wayhouse.cli.bus_words import TTL, VALUE_HELP, piece_of, say, short, shown
from wayhouse.cli.command import command, noun
from wayhouse.cli.figures import moment
from wayhouse.cli.session import Session

app = noun("store", "Values under SERVICE SECTION KEY, with revisions and a history.")

Service = Annotated[str, typer.Argument(metavar="SERVICE")]
Section = Annotated[str, typer.Argument(metavar="SECTION")]
Key = Annotated[str, typer.Argument(metavar="KEY")]
Value = Annotated[str, typer.Argument(metavar="VALUE", help=VALUE_HELP)]
Ttl = Annotated[float | None, TTL]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@command(app, "ls")
def ls(
    session: Session,
    service: Annotated[str | None, typer.Argument(metavar="[SERVICE]")] = None,
    section: Annotated[str | None, typer.Argument(metavar="[SECTION]")] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="NAME", help="Go on behind this name.")
    ] = None,
) -> None:
    """List services, the sections of one, or the keys of a section.

    For example:
      wayhouse store ls
      wayhouse store ls scenarios lights
    """
    from wayhouse.api.resources import bus

    query = {"service": service, "section": section, "after": after}
    found = session.client.call(bus.NAMES, query=query)
    if session.screen.json:
        session.screen.data(found)
        return
    for name in found.names:
        session.screen.line(name)
    if not found.names:
        session.screen.note("Nothing is stored there.")
    if found.is_cut:
        session.screen.note(f"There is more: --after {found.names[-1]}")


@command(app, "get")
def get(session: Session, service: Service, section: Section, key: Key) -> None:
    """Show a value. With --json also its revision, and when it expires.

    For example:
      wayhouse store get scenarios lights brightness
      wayhouse store get scenarios lights brightness --json
    """
    from wayhouse.api.resources import bus

    found = session.client.call(bus.GET_VALUE, service=service, section=section, key=key)
    say(session, found, shown(found.value))


@command(app, "set")
def set_value(
    session: Session, service: Service, section: Section, key: Key, value: Value, ttl: Ttl = None
) -> None:
    """Store a value, over any that is there.

    For example:
      wayhouse store set scenarios lights brightness 40
      wayhouse store set app session token @token.txt --ttl 3600
    """
    _put(session, (service, section, key), value, ttl, None)


@command(app, "cas")
def cas(
    session: Session,
    service: Service,
    section: Section,
    key: Key,
    revision: Annotated[int, typer.Argument(metavar="REVISION", min=0, help="0: it must not exist.")],
    value: Value,
    ttl: Ttl = None,
) -> None:
    """Store a value only if the key is still at a certain revision (compare and set); else exit code 1.

    For example:
      wayhouse store cas app counter hits 7 8
      wayhouse store cas app locks night 0 mine --ttl 60
    """
    _put(session, (service, section, key), value, ttl, revision)


@command(app, "rm")
def rm(session: Session, service: Service, section: Section, key: Key) -> None:
    """Delete a value. What it was stays in the history for a while.

    For example:
      wayhouse store rm app counter hits
    """
    from wayhouse.api.resources import bus

    answer = session.client.call(bus.DELETE_VALUE, service=service, section=section, key=key)
    say(session, answer, f"{service} {section} {key} is deleted.")


@command(app, "history")
def history(session: Session, service: Service, section: Section, key: Key) -> None:
    """Show what a key held before, newest first.

    For example:
      wayhouse store history app counter hits
    """
    from wayhouse.api.resources import bus

    found = session.client.call(bus.HISTORY, service=service, section=section, key=key)
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [(str(one.revision), moment(one.at), one.what, short(one.value)) for one in found]
    session.screen.table(("REVISION", "AT", "WHAT", "VALUE"), rows, empty="It has no history.")


def _put(
    session: Session, place: tuple[str, str, str], value: str, ttl: float | None, revision: int | None
) -> None:
    from wayhouse.api.resources import bus
    from wayhouse.api.wire_bus import StoreOrder

    service, section, key = place
    order = StoreOrder(value=piece_of(value), ttl_s=ttl, if_revision=revision)
    found = session.client.call(bus.PUT_VALUE, body=order, service=service, section=section, key=key)
    say(session, found, f"{' '.join(place)} is stored, revision {found.revision}.")
