"""`wayhouse overlay rules`: what peers may reach on this gateway and behind it. Rules are numbered from 1, as they are listed."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.base.errors import BadInputError, NotFoundError
from wayhouse.cli.command import command, noun
from wayhouse.cli.overlay_words import Overlay, chosen, names_of, setup_of, short, tune, uid_of
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.overlay.policy import Rule

app = noun("rules", "What peers may reach here. What no rule allows is dropped.")
HEADS = ("NUMBER", "ACTION", "FROM", "TO", "PROTOCOL", "PORTS", "NETWORKS", "NOTE")
ALWAYS = "What no rule allows is dropped. Answers and echo (ping) always pass."


class Protocol(enum.StrEnum):
    ANY = "any"
    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@command(app, "ls")
def ls(session: Session, overlay: Overlay = None) -> None:
    """List the rules in their order: the first that fits counts.

    For example:
      wayhouse overlay rules ls
    """
    from wayhouse.api.resources import overlays

    name = chosen(session, overlay)
    found = setup_of(session, name).rules
    if session.screen.json:
        session.screen.data(found)
        return
    links = session.client.call(overlays.LINKS, name=name)
    names = names_of(links)
    rows = [_row(at, one, names) for at, one in enumerate(found, 1)]
    empty = f"No rules: peers reach nothing here. Add one: {session.again} overlay rules add --from any --proto tcp --port 22"
    session.screen.table(HEADS, rows, empty=empty)
    if rows:
        session.screen.note(ALWAYS)


@command(app, "add")
def add(
    session: Session,
    source: Annotated[
        str, typer.Option("--from", metavar="WHO", help="Which peers: any, tag:TAG, a name or a uid.")
    ],
    target: Annotated[
        str,
        typer.Option(
            "--to", metavar="WHO", help="On which gateways it counts: self, any, tag:TAG, a name or a uid."
        ),
    ] = "self",
    protocol: Annotated[Protocol, typer.Option("--proto", help="What is let in.")] = Protocol.ANY,
    ports: Annotated[
        list[str] | None,
        typer.Option("--port", metavar="N", help="Of TCP and UDP: 22 or 8000-8010; may be given again."),
    ] = None,
    networks: Annotated[
        list[str] | None,
        typer.Option(
            "--network", metavar="CIDR", help="Not this gateway but a network behind it; may be given again."
        ),
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Do not let it in, whatever later rules say.")] = False,
    note: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    at: Annotated[int | None, typer.Option("--at", metavar="N", min=1, help="Its number (the last).")] = None,
    overlay: Overlay = None,
) -> None:
    """Add a rule.

    For example:
      wayhouse overlay rules add --from tag:home --proto tcp --port 22
      wayhouse overlay rules add --from kitchen --proto tcp --port 80 --port 8000-8010
      wayhouse overlay rules add --from any --network 192.168.7.0/24
      wayhouse overlay rules add --from barn --drop --at 1
    """
    from wayhouse.overlay import policy
    from wayhouse.overlay.orders import Tuning

    name = chosen(session, overlay)
    rule = policy.Rule(
        source=_who(session, name, source),
        target=_who(session, name, target),
        protocol=policy.Protocol(protocol.value),
        ports=tuple(ports or ()),
        networks=tuple(networks or ()),
        action=policy.Action.DROP if drop else policy.Action.ACCEPT,
        note=note,
    )
    setup = setup_of(session, name)
    rules = list(setup.rules)
    number = min(at or len(rules) + 1, len(rules) + 1)
    rules.insert(number - 1, rule)
    outcome = f"Rule {number} is added: {_words(rule, source, target)}."
    tune(session, name, Tuning(rules=tuple(rules), if_revision=setup.revision), outcome)


@command(app, "rm")
def rm(
    session: Session,
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="As `overlay rules ls` shows it.")],
    overlay: Overlay = None,
) -> None:
    """Remove a rule. Those behind it move up.

    For example:
      wayhouse overlay rules rm 2
    """
    from wayhouse.overlay.orders import Tuning

    name = chosen(session, overlay)
    setup = setup_of(session, name)
    rules = list(setup.rules)
    if number > len(rules):
        raise NotFoundError(
            f"There is no rule {number}. See them: {session.again} overlay rules ls -o {name}"
        )
    gone = rules.pop(number - 1)
    outcome = f"Rule {number} is removed: {_words(gone, gone.source, gone.target)}."
    tune(session, name, Tuning(rules=tuple(rules), if_revision=setup.revision), outcome)


def _who(session: Session, overlay: str, text: str) -> str:
    """As rules have it: names become uids, since names change. Raises `BadInputError`."""
    from wayhouse.overlay.policy import ANY, SELF, TAG

    if text in {ANY, SELF} or text.startswith(TAG):
        return text
    if not text:
        raise BadInputError("Say who: any, tag:TAG, a name or a uid.")
    return uid_of(session, overlay, text)


def _row(number: int, one: Rule, names: dict[str, str]) -> tuple[str, ...]:
    return (
        str(number),
        one.action.value,
        _named(one.source, names),
        _named(one.target, names),
        one.protocol.value,
        ", ".join(one.ports) or "all",
        ", ".join(one.networks) or "the gateway itself",
        one.note,
    )


def _named(who: str, names: dict[str, str]) -> str:
    from wayhouse.overlay.model import is_uid

    return short(who, names) if is_uid(who) else who


def _words(one: Rule, source: str, target: str) -> str:
    what = "everything" if one.protocol.value == "any" else one.protocol.value
    ports = f" at {', '.join(one.ports)}" if one.ports else ""
    where = ", ".join(one.networks) or ("this gateway" if target == "self" else target)
    return f"{one.action.value} {what}{ports} from {source} to {where}"
