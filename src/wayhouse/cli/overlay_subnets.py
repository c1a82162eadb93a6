"""`wayhouse overlay subnets`: networks behind gateways. One gateway offers them, each other one accepts them or does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.base.errors import BadInputError, NotFoundError
from wayhouse.cli.command import command, noun
from wayhouse.cli.overlay_words import Overlay, Peer, chosen, names_of, setup_of, short, tune, uid_of
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.overlay.subnets import Subnet

app = noun("subnets", "Networks behind gateways: offered by one, accepted by the others.")
HEADS = ("NETWORK", "BEHIND", "STATE", "WHY")

Network = Annotated[str, typer.Argument(metavar="NETWORK", help="Such as 192.168.7.0/24.")]


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@command(app, "ls")
def ls(session: Session, overlay: Overlay = None) -> None:
    """List the networks that this gateway offers, and those that peers offer to it.

    For example:
      wayhouse overlay subnets ls
    """
    from wayhouse.api.resources import overlays

    name = chosen(session, overlay)
    state = session.client.call(overlays.GET, name=name)
    own = setup_of(session, name).offered_subnets
    if session.screen.json:
        session.screen.data({"offered": own, "subnets": state.subnets})
        return
    names = names_of(state.links)
    rows = [(text, "this gateway", "offered", "") for text in own]
    rows += [(one.network, short(one.uid, names), one.standing.value, _why(one)) for one in state.subnets]
    empty = f"No networks. Offer one: {session.again} overlay subnets offer 192.168.7.0/24"
    session.screen.table(HEADS, rows, empty=empty)


@command(app, "offer")
def offer(session: Session, network: Network, overlay: Overlay = None) -> None:
    """Offer a network behind this gateway to the others. A rule must let them in, too.

    For example:
      wayhouse overlay subnets offer 192.168.7.0/24
      wayhouse overlay rules add --from any --network 192.168.7.0/24
    """
    from wayhouse.overlay import subnets
    from wayhouse.overlay.orders import Tuning

    name = chosen(session, overlay)
    text = str(subnets.read(network))
    setup = setup_of(session, name)
    offered = tuple(sorted({*setup.offered_subnets, text}))
    wish = Tuning(offered_subnets=offered, if_revision=setup.revision)
    tune(session, name, wish, f"{text} is offered; others accept it, or do not.")
    if not any(text in rule.networks for rule in setup.rules):
        again = f"{session.again} overlay rules add --from any --network {text} -o {name}"
        session.screen.note(f"No rule names it, so nobody is let in yet: {again}")


@command(app, "withdraw")
def withdraw(session: Session, network: Network, overlay: Overlay = None) -> None:
    """Offer a network no more.

    For example:
      wayhouse overlay subnets withdraw 192.168.7.0/24
    """
    from wayhouse.overlay import subnets
    from wayhouse.overlay.orders import Tuning

    name = chosen(session, overlay)
    text = str(subnets.read(network))
    setup = setup_of(session, name)
    offered = setup.offered_subnets
    if text not in offered:
        raise NotFoundError(f"{text} is not offered here. Offered are: {', '.join(offered) or 'none'}.")
    left = tuple(one for one in offered if one != text)
    wish = Tuning(offered_subnets=left, if_revision=setup.revision)
    tune(session, name, wish, f"{text} is offered no more.")


@command(app, "accept")
def accept(
    session: Session,
    peer: Peer,
    network: Annotated[
        str | None,
        typer.Argument(metavar="[NETWORK]", help="Such as 192.168.7.0/24; not needed if it offers one."),
    ] = None,
    overlay: Overlay = None,
) -> None:
    """Accept a network behind a peer: packets for it go there from now on.

    For example:
      wayhouse overlay subnets accept kitchen
      wayhouse overlay subnets accept kitchen 192.168.7.0/24
    """
    from wayhouse.api.resources import overlays
    from wayhouse.overlay import subnets
    from wayhouse.overlay.orders import Tuning

    name = chosen(session, overlay)
    link = session.client.call(overlays.LINK, name=name, peer=peer)
    text = network or _only(peer, link.offered_subnets)
    setup, offers = setup_of(session, name), {link.uid: link.offered_subnets}
    accepted = subnets.accept(
        link.uid, text, offers, setup.accepted_subnets, subnets.Surroundings({})
    )  # the gateway looks at its own networks
    wish = Tuning(accepted_subnets=accepted, if_revision=setup.revision)
    tune(session, name, wish, f"{text} is reached through {peer}.")


@command(app, "refuse")
def refuse(session: Session, peer: Peer, network: Network, overlay: Overlay = None) -> None:
    """Accept a network behind a peer no more.

    For example:
      wayhouse overlay subnets refuse kitchen 192.168.7.0/24
    """
    from wayhouse.overlay import subnets
    from wayhouse.overlay.orders import Tuning

    name = chosen(session, overlay)
    setup = setup_of(session, name)
    accepted = setup.accepted_subnets
    uid = uid_of(session, name, peer, known=accepted)
    left = subnets.take_back(uid, network, accepted)
    wish = Tuning(accepted_subnets=left, if_revision=setup.revision)
    tune(session, name, wish, f"{network} is not reached through {peer} any more.")


def _only(peer: str, offered: tuple[str, ...]) -> str:
    if len(offered) != 1:
        raise BadInputError(f"{peer} offers {', '.join(offered) or 'no network'}: name one of them.")
    return offered[0]


def _why(one: Subnet) -> str:
    return one.why or ("it is not accepted here" if one.standing.value == "offered" else "")
