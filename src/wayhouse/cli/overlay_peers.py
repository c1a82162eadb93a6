"""`wayhouse overlay peers` and `links`: who is there, how each is reached, and why not directly.

Rule: whoever is not linked directly has a line that says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.cli.command import command
from wayhouse.cli.complete import overlay_peers
from wayhouse.cli.figures import size, span
from wayhouse.cli.live import away, draw
from wayhouse.cli.overlay_words import Overlay, called, chosen, path_word
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.overlay.views import LinkView, OverlayState

HEADS = ("NAME", "ADDRESS", "STATUS", "PATH", "RTT", "IN", "OUT", "SINCE")

MaybePeer = Annotated[
    str | None,
    typer.Argument(
        metavar="[PEER]", help="Only this one: a name, an address or a uid.", autocompletion=overlay_peers
    ),
]


def add_to(app: typer.Typer) -> None:
    command(app, "peers")(peers)
    command(app, "links")(links)


def peers(
    session: Session,
    overlay: Overlay = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Live, until Ctrl-C.")] = False,
) -> None:
    """List the gateways of an overlay, and how they are reached. Under each that is not linked directly stands why.

    With --follow --json each look is one line.

    For example:
      wayhouse overlay peers
      wayhouse overlay peers -f -o home
    """
    from wayhouse.api.resources import overlays

    name = chosen(session, overlay)
    if follow:
        _follow(session, name)
        return
    found = session.client.call(overlays.GET, name=name)
    if session.screen.json:
        session.screen.data(found.links)
        return
    if not found.links:
        session.screen.note(_nobody(found))
        return
    for line in lines(found):
        session.screen.line(line)


def links(session: Session, peer: MaybePeer = None, overlay: Overlay = None) -> None:
    """Show links in detail. Which paths were tried, from which addresses, through which NAT, and why each link is as it is.

    For example:
      wayhouse overlay links
      wayhouse overlay links kitchen
    """
    from wayhouse.api.resources import overlays

    name = chosen(session, overlay)
    if peer is None:
        found = session.client.call(overlays.LINKS, name=name)
    else:
        found = [session.client.call(overlays.LINK, name=name, peer=peer)]
    if session.screen.json:
        session.screen.data(found if peer is None else found[0])
        return
    if not found:
        session.screen.note(f"No peers have been seen. Why: {session.again} overlay show -o {name}")
    for at, link in enumerate(found):
        if at:
            session.screen.line()
        _show_link(session, link)


def lines(found: OverlayState) -> list[str]:
    """The table, aligned, with the reasons in it."""
    if not found.links:
        return [_nobody(found)]
    rows = [HEADS, *(_cells(link) for link in found.links)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADS))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    told = [table[0]]
    for link, line in zip(found.links, table[1:], strict=True):
        told.append(line)
        if link.why:
            told.append(f"  {link.why}")
    return told


def _follow(session: Session, name: str) -> None:
    if session.screen.json:
        for state in _states(session, name):
            session.screen.data_line(state)
    elif session.screen.is_live:
        draw(session.screen, (_page(state) for state in _states(session, name)))
    else:
        for state in _states(session, name):
            for line in (*lines(state), ""):
                session.screen.line(line)


def _states(session: Session, name: str) -> Iterator[OverlayState]:
    from wayhouse.api.resources import overlays
    from wayhouse.base import codec
    from wayhouse.overlay.views import OverlayState

    for text in session.client.follow(overlays.FOLLOW, lost=away(session.screen), name=name):
        yield codec.decode_json(text, OverlayState, what="overlay")


def _page(state: OverlayState) -> list[str]:
    one = state.overlay
    head = f"{one.name}: {one.online} of {one.peers} online, {one.relayed} relayed. This gateway is {one.dns_name}, {one.ip4}."
    return [head, *([one.problem] if one.problem else []), "", *lines(state)]


def _nobody(found: OverlayState) -> str:
    return found.overlay.problem or "No other gateway has been seen yet."


def _cells(link: LinkView) -> tuple[str, ...]:
    return (
        called(link),
        link.ip4 or link.ip6,
        link.status.value,
        path_word(link),
        _rtt(link),
        f"{size(link.received_bps)}/s",
        f"{size(link.sent_bps)}/s",
        _since(link),
    )


def _since(link: LinkView) -> str:
    if link.online_age_s is not None:
        return span(link.online_age_s)
    return "" if link.seen_age_s is None else f"seen {_ago(link.seen_age_s)}"


def _rtt(link: LinkView) -> str:
    return "" if link.rtt_s is None else f"{link.rtt_s * 1000:.1f} ms"


def _ago(seconds: float) -> str:
    return f"{span(seconds)} ago"


def _show_link(session: Session, link: LinkView) -> None:
    session.screen.lines([(name, text) for name, text in _facts(link) if text])
    if link.pairs:
        rows = [
            (one.local, one.local_type.value, one.remote, one.remote_type.value, one.state)
            for one in link.pairs
        ]
        session.screen.line()
        session.screen.table(("FROM", "", "TO", "", "TRIED"), rows, empty="")


def _facts(link: LinkView) -> Iterator[tuple[str, str]]:
    word = path_word(link)
    yield "Peer", called(link)
    yield "Uid", link.uid
    yield "Addresses", " ".join(filter(None, (link.ip4, link.ip6)))
    yield "Status", f"{link.status.value}{f', {word}' if word else ''} ({link.state})"
    yield "Why", link.why
    yield "Path", f"{link.local} to {link.remote}" if link.local else ""
    yield "Round trip", _rtt(link)
    yield "Online for", "" if link.online_age_s is None else span(link.online_age_s)
    yield "Received", f"{size(link.received_bytes)}, {size(link.received_bps)}/s"
    yield "Sent", f"{size(link.sent_bytes)}, {size(link.sent_bps)}/s"
    yield "Handshake", "" if link.handshake_age_s is None else _ago(link.handshake_age_s)
    yield "NAT here", link.nat
    yield "Found by", link.via + (f", {_ago(link.seen_age_s)}" if link.seen_age_s is not None else "")
    yield "Policy", link.policy.value
    yield "Tags", ", ".join(link.tags)
    yield "Offers", ", ".join(link.offered_subnets)
    yield "Certificate", link.fingerprint
