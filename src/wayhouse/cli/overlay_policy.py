"""`wayhouse overlay policy`: how links are made, to all peers or to one."""

from __future__ import annotations

from typing import Annotated

import typer

from wayhouse.base.errors import BadInputError
from wayhouse.cli.command import command
from wayhouse.cli.overlay_words import Overlay, chosen, names_of, setup_of, short, tune, uid_of
from wayhouse.cli.session import Session

USUAL = "usual"
POLICIES = ("auto", "direct", "relay", "off")


def add_to(app: typer.Typer) -> None:
    command(app, "policy")(policy)


def policy(
    session: Session,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PEER] [auto|direct|relay|off]", help="With a peer also `usual`: as for all."
        ),
    ] = None,
    overlay: Overlay = None,
) -> None:
    """Show or set how links are made, to all peers or to one.

    auto: relayed until a direct path is found; direct: never relayed; relay: hides this gateway's addresses; off: no link.

    For example:
      wayhouse overlay policy
      wayhouse overlay policy relay
      wayhouse overlay policy kitchen off
      wayhouse overlay policy kitchen usual
    """
    peer, wanted = _read(words or [])
    name = chosen(session, overlay)
    if wanted is None:
        _show(session, name)
    elif peer is None:
        _set_all(session, name, wanted)
    else:
        _set_one(session, name, peer, wanted)


def _read(words: list[str]) -> tuple[str | None, str | None]:
    """The peer and the policy. Raises `BadInputError`."""
    if not words:
        return None, None
    allowed = POLICIES if len(words) == 1 else (*POLICIES, USUAL)
    if len(words) > 2 or words[-1] not in allowed:
        raise BadInputError(
            f"Write [PEER] and one of {', '.join(POLICIES)} (or, with a peer, {USUAL}): wayhouse overlay policy kitchen relay"
        )
    return (words[0] if len(words) == 2 else None), words[-1]


def _show(session: Session, name: str) -> None:
    from wayhouse.api.resources import overlays

    setup = setup_of(session, name)
    if session.screen.json:
        session.screen.data({"policy": setup.policy, "peer_policies": setup.peer_policies})
        return
    links = session.client.call(overlays.LINKS, name=name)
    names = names_of(links)
    rows = [(short(uid, names), one.value) for uid, one in sorted(setup.peer_policies.items())]
    session.screen.table(
        ("PEER", "POLICY"), [("all others" if rows else "all", setup.policy.value), *rows], empty=""
    )


def _set_all(session: Session, name: str, wanted: str) -> None:
    from wayhouse.overlay.model import PathPolicy
    from wayhouse.overlay.orders import Tuning

    tune(session, name, Tuning(policy=PathPolicy(wanted)), f"Links of {name}: {wanted}.")


def _set_one(session: Session, name: str, peer: str, wanted: str) -> None:
    from wayhouse.overlay.model import PathPolicy
    from wayhouse.overlay.orders import Tuning

    uid = uid_of(session, name, peer, known=setup_of(session, name).peer_policies)
    chosen_policy = None if wanted == USUAL else PathPolicy(wanted)
    outcome = f"The link to {peer}: {'as all' if chosen_policy is None else wanted}."
    tune(session, name, Tuning(peer_policies={uid: chosen_policy}), outcome)
