"""`wayhouse overlay create`, `join`, `leave` and `set`: coming into overlays and out of them, and how they are set up."""

from __future__ import annotations

import enum
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wayhouse.base.errors import BadInputError
from wayhouse.cli.command import command
from wayhouse.cli.overlay_account import AccountOptions, ServerOptions
from wayhouse.cli.overlay_words import Overlay, Yes, chosen, say, setup_of, state_of, sure, tune
from wayhouse.cli.secrets import ask_password
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.overlay.orders import Setup
    from wayhouse.overlay.views import OverlayView

MOST_CODE = 65_536


class Policy(enum.StrEnum):
    AUTO = "auto"
    DIRECT = "direct"
    RELAY = "relay"


Label = Annotated[
    str | None,
    typer.Option(
        "--dns-name", "--name", metavar="NAME", help="What this gateway is called in it (its host name)."
    ),
]


def add_to(app: typer.Typer) -> None:
    command(app, "create")(create)
    command(app, "join")(join)
    command(app, "leave")(leave)
    command(app, "set")(set_)


def create(
    session: Session,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What to call it; a part of its gateways' names.")
    ],
    social: Annotated[
        bool, typer.Option("--social", help="Of friends, each with a view of its own, and no founder.")
    ] = False,
    subnet: Annotated[
        str | None, typer.Option(metavar="CIDR", help="Of its addresses (172.16.0.0/16); not with --social.")
    ] = None,
    dns_name: Label = None,
    *,
    said: AccountOptions,
    servers: ServerOptions,
    lan: Annotated[bool, typer.Option("--lan/--no-lan", help="Find peers in the local network.")] = True,
    policy: Annotated[Policy, typer.Option(help="How links are made; relay hides addresses.")] = Policy.AUTO,
) -> None:
    """Make an overlay: a private network of gateways. This one founds it, and invites others.

    For example:
      wayhouse overlay create home
      wayhouse overlay create home --account us@overlay.example --host 192.0.2.10 --pin AB:CD:...
      wayhouse overlay create friends --social --account me@example.org --no-lan
    """
    from wayhouse.api.resources import overlays
    from wayhouse.overlay.model import PathPolicy
    from wayhouse.overlay.orders import Founding

    passwords = said.passwords(session.screen)
    wish = Founding(
        name=name,
        kind="social" if social else "group",
        dns_name=dns_name or "",
        subnet=subnet or "",
        accounts=said.accounts(passwords),
        is_on_lan=lan,
        stun=servers.stun,
        turn=servers.relays(passwords),
        relay_ca=servers.authority(),
        policy=PathPolicy(policy.value),
    )
    made = session.client.call(overlays.FOUND, body=wish)
    _welcome(session, made)
    if not session.screen.json:
        _next_step(session, wish.kind, is_reachable=lan or said.jid is not None)


def join(
    session: Session,
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="[CODE]", help="The invitation; `-` reads it from standard input. Asked for if left out."
        ),
    ] = None,
    dns_name: Label = None,
    *,
    said: AccountOptions,
) -> None:
    """Join an overlay by an invitation. An --account counts instead of those in the invitation.

    The code lets its holder in: as an argument, `ps` and the shell's history show it.

    For example:
      wayhouse overlay join
      wayhouse overlay join - < code.txt
      ssh attic wayhouse overlay invite | wayhouse overlay join -
    """
    from wayhouse.api.resources import overlays
    from wayhouse.overlay.orders import Joining

    invitation = _code(session, code)
    wish = Joining(
        code=invitation,
        dns_name=dns_name or "",
        accounts=said.accounts(said.passwords(session.screen)),
    )
    made = session.client.call(overlays.JOIN, body=wish)
    _welcome(session, made)
    if not session.screen.json:
        session.screen.note(
            f"Its gateways, as they are found: {session.again} overlay peers -f -o {made.name}"
        )


def leave(session: Session, overlay: Overlay = None, yes: Yes = False) -> None:
    """Leave an overlay. Its keys are forgotten: only a new invitation leads back.

    For example:
      wayhouse overlay leave -o home
    """
    from wayhouse.api.resources import overlays

    one = state_of(session, overlay).overlay
    lost = " This gateway founded it: nobody can invite to it or take back any more." if one.is_admin else ""
    sure(session, f"Leave {one.name}? Only a new invitation leads back.{lost}", yes=yes)
    say(session, session.client.call(overlays.LEAVE, name=one.name), f"{one.name} is left.")


def set_(
    session: Session,
    overlay: Overlay = None,
    dns_name: Label = None,
    on_demand: Annotated[
        bool | None,
        typer.Option("--on-demand/--no-on-demand", help="Make links only when there are packets for them."),
    ] = None,
    lan: Annotated[
        bool | None, typer.Option("--lan/--no-lan", help="Find peers in the local network.")
    ] = None,
    kernel: Annotated[
        bool | None,
        typer.Option("--kernel/--no-kernel", help="Let the kernel's WireGuard carry it where it can."),
    ] = None,
    legacy: Annotated[
        bool | None,
        typer.Option(
            "--legacy/--no-legacy",
            help="Link friends' nodes of 2013 to 2016 (tincan), and those alone: weaker than what is usual.",
        ),
    ] = None,
    *,
    said: AccountOptions,
    no_account: Annotated[bool, typer.Option("--no-account", help="Sign in nowhere.")] = False,
    servers: ServerOptions,
    no_stun: Annotated[bool, typer.Option("--no-stun", help="Ask no STUN servers.")] = False,
    no_turn: Annotated[bool, typer.Option("--no-turn", help="Use no relays.")] = False,
    no_relay_ca: Annotated[
        bool, typer.Option("--no-relay-ca", help="Trust relays only by those who are trusted here anyway.")
    ] = False,
) -> None:
    """Change how an overlay is set up here, or show it. What is given takes the place of what there was.

    For example:
      wayhouse overlay set
      wayhouse overlay set --dns-name attic --on-demand
      wayhouse overlay set --stun stun.example.org:3478 --turn tls:turn.example.org:5349:us
    """
    from wayhouse.overlay.orders import Tuning

    for given, taken, option in (
        (said.jid, no_account, "account"),
        (servers.stun, no_stun, "stun"),
        (servers.turn, no_turn, "turn"),
        (servers.relay_ca, no_relay_ca, "relay-ca"),
    ):
        if given and taken:
            raise BadInputError(f"--{option} and --no-{option} are opposites.")
    name = chosen(session, overlay)
    passwords = said.passwords(session.screen)
    changed: dict[str, Any] = {
        "dns_name": dns_name, "on_demand": on_demand, "is_on_lan": lan, "in_kernel": kernel,
        "is_legacy": legacy,
    }  # fmt: skip
    changed["accounts"] = said.accounts(passwords) if said.jid or no_account else None
    changed["stun"] = servers.stun if servers.stun or no_stun else None
    changed["turn"] = servers.relays(passwords) if servers.turn or no_turn else None
    changed["relay_ca"] = servers.authority() if servers.relay_ca or no_relay_ca else None
    if all(value is None for value in changed.values()):
        _show_setup(session, setup_of(session, name))
    else:
        tune(session, name, Tuning(**changed), f"{name} is changed.")


def _code(session: Session, code: str | None) -> str:
    """Raises `BadInputError` where there is none."""
    if code is None and session.screen.can_ask:
        code = ask_password(session.screen, "Invitation")
    elif code is None or code == "-":
        code = sys.stdin.readline(MOST_CODE)
    if not code.strip():
        raise BadInputError("There is no invitation. Paste its code, or pipe it: wayhouse overlay join -")
    return code.strip()


def _welcome(session: Session, made: OverlayView) -> None:
    if session.screen.json:
        session.screen.data(made)
    else:
        session.screen.line(
            f"This gateway is in {made.name}, as {made.dns_name} with the address {made.ip4}."
        )


def _next_step(session: Session, kind: str, *, is_reachable: bool) -> None:
    note = session.screen.note
    if not is_reachable:
        note(f"Nobody can find it yet: {session.again} overlay set --lan, or --account JID.")
    if kind == "group":
        note(f"Invite another gateway: {session.again} overlay invite")
        note(
            f"Say what its gateways may reach here (nothing, so far): {session.again} overlay rules add --help"
        )
    else:
        note("Friends are who is in the account's roster; they make a social overlay of their own.")


def _show_setup(session: Session, found: Setup) -> None:
    if session.screen.json:
        session.screen.data(found)
        return
    from wayhouse.overlay.relay_authority import fingerprints

    facts = [
        ("Overlay", f"{found.name} ({found.kind}{', founded here' if found.is_admin else ''})"),
        ("This gateway", f"{found.dns_name}, {found.ip4}"),
        ("Uid", found.uid),
        ("Subnet", found.subnet),
        ("Accounts", ", ".join(found.accounts) or "none"),
        ("Local network", "peers are found" if found.is_on_lan else "not used"),
        ("STUN servers", ", ".join(found.stun) or "none"),
        ("Relays", ", ".join(found.turn) or "none"),
        *(("Relays' authority", f"SHA-256 {one}") for one in fingerprints(found.relay_ca)),
        ("Links", f"{found.policy.value}, made {'when they are needed' if found.on_demand else 'at once'}"),
        ("Old nodes", "are linked, and those alone: weaker than usual" if found.is_legacy else ""),
        ("Rules", str(len(found.rules))),
        ("Offers", ", ".join(found.offered_subnets) or "no networks"),
    ]
    session.screen.lines([one for one in facts if one[1]])
