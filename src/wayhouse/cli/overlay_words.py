"""Words that the commands on overlays share: which overlay is meant, which peer, and how peers are shown.

Rule: an overlay that exists is named by `--overlay`, in every command alike; the option may be left out where there is one overlay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wayhouse.base.errors import BadInputError, NotFoundError
from wayhouse.cli.complete import overlay_names, overlay_peers
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.overlay.orders import Setup, Tuning
    from wayhouse.overlay.views import LinkView, OverlayState

Overlay = Annotated[
    str | None,
    typer.Option(
        "--overlay",
        "-o",
        metavar="NAME",
        help="Which overlay; not needed where there is one.",
        autocompletion=overlay_names,
    ),
]
Peer = Annotated[
    str,
    typer.Argument(
        metavar="PEER",
        help="Its name, an address of it, its uid or how that begins.",
        autocompletion=overlay_peers,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
UID_LENGTH = 40


def chosen(session: Session, wanted: str | None) -> str:
    """The overlay that was named, or the only one. Raises `NotFoundError`, `BadInputError`."""
    from wayhouse.api.resources import overlays

    if wanted is not None:
        return wanted
    known = [one.name for one in session.client.call(overlays.LIST)]
    if not known:
        raise NotFoundError(
            f"This gateway is in no overlay. Make one: {session.again} overlay create NAME, or join one by an invitation: "
            f"{session.again} overlay join"
        )
    if len(known) > 1:
        raise BadInputError(f"This gateway is in {', '.join(known)}: say which with --overlay NAME.")
    return known[0]


def state_of(session: Session, wanted: str | None) -> OverlayState:
    from wayhouse.api.resources import overlays

    return session.client.call(overlays.GET, name=chosen(session, wanted))


def setup_of(session: Session, overlay: str) -> Setup:
    from wayhouse.api.resources import overlays

    return session.client.call(overlays.SETUP, name=overlay)


def tune(session: Session, overlay: str, wish: Tuning, outcome: str) -> None:
    """Change what `wish` names, and say so; with --json, how the overlay is set up then. What was made of a `Setup` that was read before has its revision, so that
    nothing is lost that somebody else has changed meanwhile. Raises `ProblemError`."""
    from wayhouse.api.resources import overlays

    say(session, session.client.call(overlays.TUNE, body=wish, name=overlay), outcome)


def say(session: Session, found: Any, outcome: str) -> None:
    if session.screen.json:
        session.screen.data(found)
    else:
        session.screen.line(outcome)


def sure(session: Session, question: str, *, yes: bool) -> None:
    """Ask before what cannot be taken back. Ends the command if the answer is no; raises `BadInputError` where nobody can be asked."""
    if not yes and not session.screen.confirm(question, otherwise=f"{question} Add --yes."):
        raise typer.Exit(1)


def uid_of(session: Session, overlay: str, peer: str, *, known: Iterable[str] = ()) -> str:
    """The uid of a peer; `known` are uids that count also when their gateways are away. Raises `NotFoundError`, `ProblemError`."""
    from wayhouse.api.resources import overlays
    from wayhouse.overlay.model import is_uid

    if is_uid(peer):
        return peer
    away = [uid for uid in known if len(peer) >= 4 and uid.startswith(peer)]
    if len(away) == 1:
        return away[0]
    return session.client.call(overlays.LINK, name=overlay, peer=peer).uid


def names_of(links: Iterable[LinkView]) -> dict[str, str]:
    """What people call each peer, by its uid."""
    return {link.uid: called(link) for link in links}


def called(link: LinkView) -> str:
    return link.name or link.uid[:8]


def short(uid: str, names: Mapping[str, str]) -> str:
    return names.get(uid, uid[:8])


def path_word(link: LinkView) -> str:
    return "" if link.is_relayed is None else "relayed" if link.is_relayed else "direct"
