"""`wayhouse status`: the gateway at a glance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer

from wayhouse.api.client_errors import ProblemError
from wayhouse.cli.command import command
from wayhouse.cli.figures import count, size, span
from wayhouse.cli.page import page_address
from wayhouse.cli.session import Session

T = TypeVar("T")


def add_to(app: typer.Typer) -> None:
    command(app, "status")(status)


def status(session: Session) -> None:
    """Show how the gateway, its machine and its apps do.

    For example:
      wayhouse status
      wayhouse status --gateway http://192.168.1.1:8080
    """
    facts = _facts(session)
    if session.screen.json:
        session.screen.data(facts)
    else:
        session.screen.lines(_lines(facts))


def _facts(session: Session) -> dict[str, Any]:
    """What this user may know; the rest is None."""
    from wayhouse.api.resources import changes, chutes, info, system

    client = session.client
    version = client.call(system.VERSION)
    return {
        "gateway": str(session.choice.place),
        "page": page_address(session),
        "version": version,
        "software": client.call(info.SOFTWARE),
        "status": client.call(info.STATUS),
        "chutes": client.call(chutes.LIST),
        "changes": _if_allowed(lambda: client.call(changes.LIST)),
    }


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    version, software = facts["version"], facts["software"]
    running = sum(chute.state == "running" for chute in facts["chutes"])
    lines = [
        ("Gateway", f"{facts['page']}  (Wayhouse {version.version})"),
        ("Engine", f"{version.engine} {version.engine_version}"),
        *(("", f"note: {sentence}") for sentence in version.engine_limits),
        (
            "System",
            f"{software.os_version or 'unknown'}, {software.kernel_version}, up {span(software.uptime)}",
        ),
        *machine_lines(facts["status"]),
        ("Apps", f"{count(len(facts['chutes']), 'app')} installed, {running} running"),
    ]
    if facts["changes"] is not None:
        lines.append(("Changes", f"{count(len(facts['changes']), 'change')} under way"))
    return lines


def machine_lines(state: dict[str, Any]) -> list[tuple[str, str]]:
    """CPU, memory and disks from `/info/status`, as far as they are there."""
    lines = []
    load = [one for one in state.get("cpu_load") or () if isinstance(one, int | float)]
    if load:
        lines.append(("CPU", f"{sum(load) / len(load):.0f} % of {count(len(load), 'core')}"))
    memory = state.get("mem") or {}
    if memory.get("total"):
        used = memory["total"] - memory.get("available", 0)
        lines.append(("Memory", f"{size(used)} of {size(memory['total'])}"))
    for mount, disk in (state.get("disk") or {}).items():
        lines.append(("Disk", f"{size(disk['used'])} of {size(disk['total'])} at {mount}"))
    return lines


def _if_allowed(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except ProblemError as error:
        if error.status == 403:
            return None
        raise
