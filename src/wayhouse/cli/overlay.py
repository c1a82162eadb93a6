"""`wayhouse overlay`: the private networks that a gateway is in. What changes them, members, rules and peers are in files of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from wayhouse.cli import (
    overlay_founding,
    overlay_members,
    overlay_peers,
    overlay_policy,
    overlay_rules,
    overlay_shares,
    overlay_subnets,
)
from wayhouse.cli.command import command, noun
from wayhouse.cli.overlay_words import Overlay, chosen, names_of, short, state_of
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.overlay.netcheck import NetReport, ServerCheck
    from wayhouse.overlay.views import OverlayState, OverlayView, SignalView

app = noun("overlay", "Overlays: private networks of gateways, through any NAT.")
HEADS = ("NAME", "KIND", "ADDRESS", "NAME HERE", "STATE", "PEERS")
MOST_ADDRESSES = 8


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@command(app, "ls")
def ls(session: Session) -> None:
    """List the overlays that this gateway is in.

    For example:
      wayhouse overlay ls
      wayhouse overlay ls --json
    """
    from wayhouse.api.resources import overlays

    found = session.client.call(overlays.LIST)
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [
        (one.name, one.kind, one.ip4, one.dns_name, "up" if one.is_up else "down", _peers(one))
        for one in found
    ]
    again = session.again
    empty = f"No overlays. Make one: {again} overlay create NAME, or join one by an invitation: {again} overlay join"
    session.screen.table(HEADS, rows, empty=empty)
    for one in found:
        if one.problem:
            session.screen.note(f"{one.name}: {one.problem}")


overlay_founding.add_to(app)


@command(app, "show")
def show(session: Session, overlay: Overlay = None) -> None:
    """Show how this gateway is in an overlay, and how peers find it. How it is set up: `wayhouse overlay set`.

    For example:
      wayhouse overlay show
      wayhouse overlay show -o home
    """
    found = state_of(session, overlay)
    if session.screen.json:
        session.screen.data(found)
    else:
        session.screen.lines(list(_facts(found)))


overlay_peers.add_to(app)


@command(app, "netcheck")
def netcheck(session: Session, overlay: Overlay = None) -> None:
    """Look what is between this gateway and the network. Which NAT it is, and whether servers answer; takes some seconds.

    For example:
      wayhouse overlay netcheck
    """
    from wayhouse.api.resources import overlays

    found = session.client.call(overlays.NETCHECK, name=chosen(session, overlay))
    if session.screen.json:
        session.screen.data(found)
    else:
        _show_report(session, found)


overlay_members.add_to(app)
overlay_policy.add_to(app)
overlay_rules.add_to(app)
overlay_shares.add_to(app)
overlay_subnets.add_to(app)


def _peers(one: OverlayView) -> str:
    if not one.peers:
        return "none yet"
    relayed = f", {one.relayed} relayed" if one.relayed else ""
    return f"{one.online} of {one.peers} online{relayed}"


def _facts(found: OverlayState) -> Iterator[tuple[str, str]]:
    one = found.overlay
    yield "Overlay", f"{one.name} ({one.kind}{', founded here' if one.is_admin else ''})"
    yield "State", "up" if one.is_up else "down"
    if one.problem:
        yield "Problem", one.problem
    yield "This gateway", " ".join(filter(None, (one.dns_name, one.ip4, one.ip6)))
    yield "Uid", one.uid
    if one.interface:
        yield "Interface", one.interface
    yield from _listed("Found by", [_way(each) for each in one.signallers])
    yield "Peers", _peers(one)
    names = names_of(found.links)
    networks = [
        f"{each.network} behind {short(each.uid, names)}: {each.standing.value}" for each in found.subnets
    ]
    yield from _listed("Networks", networks)


def _listed(name: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    for at, line in enumerate(lines):
        yield ("" if at else name), line


def _way(one: SignalView) -> str:
    name = "the local network" if one.name == "mdns" else one.name
    return f"{name}: {'up' if one.is_up else one.reason or 'down'}"


def _show_report(session: Session, found: NetReport) -> None:
    screen = session.screen
    screen.lines(list(_report(found)))
    if found.servers:
        screen.line()
        heads = ("KIND", "SERVER", "ADDRESS", "ANSWERS IN", "SEES US AS")
        screen.table(heads, [_server(one) for one in found.servers], empty="")
    screen.line()
    for line in found.advice:
        screen.line(line)


def _report(found: NetReport) -> Iterator[tuple[str, str]]:
    yield "NAT", f"{found.nat} (ports: {found.mapping.value}; filter: {found.filtering.value})"
    if found.servers:
        yield "UDP", "passes" if found.has_udp else "does not pass"
        yield "IPv4", found.public_ipv4 or ("yes" if found.has_ipv4 else "no")
        yield "IPv6", found.public_ipv6 or ("yes" if found.has_ipv6 else "no")
    more = len(found.addresses) - MOST_ADDRESSES
    shown = [*found.addresses[:MOST_ADDRESSES], *([f"and {more} more"] if more > 0 else [])]
    yield "Own addresses", ", ".join(shown) or "none"


def _server(one: ServerCheck) -> tuple[str, ...]:
    took = "" if one.rtt_ms is None else f"{one.rtt_ms:.1f} ms"
    return one.kind, one.host, one.address, took, one.mapped or one.error
