"""`wayhouse overlay invite`, `invitations`, `revoke` and `forget`: who may come in, and who is sent away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.base.errors import BadInputError
from wayhouse.cli.command import command
from wayhouse.cli.complete import overlay_peers
from wayhouse.cli.figures import moment, seconds_of
from wayhouse.cli.overlay_words import Overlay, Peer, Yes, chosen, say, sure, uid_of
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.overlay.orders import Code, Issued

FOR_EVER = "ever"


def add_to(app: typer.Typer) -> None:
    command(app, "invite")(invite)
    command(app, "invitations")(invitations)
    command(app, "revoke")(revoke)
    command(app, "forget")(forget)


def invite(
    session: Session,
    overlay: Overlay = None,
    valid: Annotated[
        str,
        typer.Option(metavar="TIME", help="Who joins by it is a member for so long: 12h, 7d, 2w or ever."),
    ] = FOR_EVER,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="TAG", help="For rules: who joins by it has this tag; may be given again."
        ),
    ] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="For whom it is.")] = "",
) -> None:
    """Make an invitation. Its code is shown now and never again; it lets its holder in, so hand it over in private.

    The code alone goes to standard output.

    For example:
      wayhouse overlay invite
      wayhouse overlay invite --valid 7d --tag phone --note 'for Ana'
      wayhouse overlay invite | ssh barn wayhouse overlay join -
    """
    from wayhouse.api.resources import overlays
    from wayhouse.overlay.orders import Inviting

    wish = Inviting(valid_s=_valid_s(valid), tags=tuple(tags or ()), note=note)
    name = chosen(session, overlay)
    made = session.client.call(overlays.INVITE, body=wish, name=name)
    if session.screen.json:
        session.screen.data({"code": made.code, "invitation": made.invitation})
        return
    session.screen.line(made.code)
    _explain(session, name, made)


def invitations(session: Session, overlay: Overlay = None) -> None:
    """List the invitations that were made on this gateway, the newest first.

    For example:
      wayhouse overlay invitations
    """
    from wayhouse.api.resources import overlays

    found = session.client.call(overlays.INVITATIONS, name=chosen(session, overlay))
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [
        (
            one.id,
            _state(one),
            moment(one.made),
            moment(one.expires) if one.expires else "never",
            ", ".join(one.tags),
            one.note,
        )
        for one in found
    ]
    empty = f"No invitations were made here. Make one: {session.again} overlay invite"
    session.screen.table(("ID", "STATE", "MADE", "EXPIRES", "TAGS", "NOTE"), rows, empty=empty)


def revoke(
    session: Session,
    who: Annotated[
        str,
        typer.Argument(
            metavar="PEER|INVITATION", help="A peer, or an invitation's id.", autocompletion=overlay_peers
        ),
    ],
    overlay: Overlay = None,
    yes: Yes = False,
) -> None:
    """Send a member away, or take back an invitation with all who joined by it. There is no way to undo it.

    For example:
      wayhouse overlay revoke barn
      wayhouse overlay revoke 4f1c9a2b --yes
    """
    from wayhouse.api.resources import overlays
    from wayhouse.api.wire_overlays import Revocation

    name = chosen(session, overlay)
    issued = {one.id for one in session.client.call(overlays.INVITATIONS, name=name)}
    if who in issued:
        sure(session, f"Take back the invitation {who}? All who joined by it are sent away.", yes=yes)
        found = session.client.call(overlays.REVOKE_INVITATION, name=name, id=who)
        say(session, found, f"The invitation {who} is taken back, with all who joined by it.")
        return
    uid = uid_of(session, name, who)
    sure(
        session,
        f"Send {who} ({uid[:8]}) away from {name}? It can come back by a new invitation only.",
        yes=yes,
    )
    found = session.client.call(overlays.REVOKE, body=Revocation(uid=uid), name=name)
    say(session, found, f"{who} is sent away; other gateways learn it from each other.")


def forget(session: Session, peer: Peer, overlay: Overlay = None, yes: Yes = False) -> None:
    """Forget a peer's certificate, so that it is trusted anew. Do it only when you know that the peer has a new one.

    For example:
      wayhouse overlay forget kitchen
    """
    from wayhouse.api.resources import overlays

    name = chosen(session, overlay)
    uid = uid_of(session, name, peer)
    sure(
        session,
        f"Forget the certificate of {peer} ({uid[:8]})? Whoever comes next by this uid is trusted.",
        yes=yes,
    )
    say(session, session.client.call(overlays.FORGET, name=name, peer=uid), f"{peer} is trusted anew.")


def _valid_s(text: str) -> float:
    """0 is for ever. Raises `BadInputError`."""
    if text == FOR_EVER:
        return 0.0
    seconds = seconds_of(text)
    if not seconds:
        raise BadInputError(f"{text[:40]!r} is no span of time. Write 12h, 7d, 2w or {FOR_EVER}.")
    return seconds


def _explain(session: Session, name: str, made: Code) -> None:
    note, one = session.screen.note, made.invitation
    note("Whoever has this code can join; it is not shown again. On the other gateway: wayhouse overlay join")
    if one.expires:
        note(f"Who joins by it is a member until {moment(one.expires)}.")
    note(f"Take it back: {session.again} overlay revoke {one.id} -o {name}")


def _state(one: Issued) -> str:
    return "revoked" if one.is_revoked else "open"
