"""`wayhouse ps`: the gateway's processes and those of its apps, as a tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from wayhouse.cli.command import command
from wayhouse.cli.figures import size, span
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.runtime.sight.family import Member

HEADS = ("PROCESS", "PID", "READY", "UPTIME", "MEMORY", "CPU", "THREADS", "DESCRIPTORS")
READY = {True: "yes", False: "no", None: ""}
_NAMELESS = {"", "app", "helper"}


def add_to(app: typer.Typer) -> None:
    command(app, "ps")(ps)


def ps(session: Session) -> None:
    """Show the gateway's processes and those of its apps. On its own machine, for root and the user that runs it.

    For example:
      wayhouse ps
      wayhouse ps --json
      sudo wayhouse ps --data /srv/gateway
    """
    from wayhouse.cli.inside import STUCK, inside

    found = inside(session)
    members = found.members()
    screen = session.screen
    if screen.json:
        screen.data({"gateway_answers": found.answers, "processes": members})
        return
    if not found.answers:
        screen.note(STUCK)
    lines = branches([one.depth for one in members], drawn=screen.out.isatty())
    screen.table(
        HEADS, [_row(line, one) for line, one in zip(lines, members, strict=True)], empty="Nothing runs."
    )


def branches(depths: Sequence[int], *, drawn: bool) -> list[str]:
    """What stands before each name of a tree whose rows come parents first: lines to draw on a terminal, spaces in a pipe."""
    if not drawn:
        return ["  " * depth for depth in depths]
    return [_branch(depths, at) for at in range(len(depths))]


def _branch(depths: Sequence[int], at: int) -> str:
    levels = range(1, depths[at])
    before = "".join("│  " if _goes_on(depths, at, level) else "   " for level in levels)
    if depths[at] == 0:
        return ""
    return before + ("├─ " if _goes_on(depths, at, depths[at]) else "└─ ")


def _goes_on(depths: Sequence[int], at: int, level: int) -> bool:
    """Whether a sister at `level` follows before the branch ends."""
    following = next((depth for depth in depths[at + 1 :] if depth <= level), 0)
    return following == level


def _row(before: str, one: Member) -> tuple[str, ...]:
    role = "" if one.role in _NAMELESS or one.role == one.name else f" ({one.role})"
    return (
        f"{before}{one.name}{role}",
        str(one.pid),
        READY[one.ready],
        span(one.uptime_s),
        size(one.rss_bytes),
        span(one.cpu_s),
        str(one.threads),
        _descriptors(one),
    )


def _descriptors(one: Member) -> str:
    if one.descriptors is None:
        return ""
    return f"{one.descriptors} of {one.descriptor_limit}" if one.descriptor_limit else str(one.descriptors)
