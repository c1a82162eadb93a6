"""Shell completion of names that only the gateway knows. Any failure means: no suggestions, and nothing is said."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from wayhouse.base.errors import WayhouseError
from wayhouse.cli.wanted import Wanted, from_environment

if TYPE_CHECKING:
    from wayhouse.api.client import Client

PATIENCE_S = 2.0


def chute_names(context: typer.Context, incomplete: str) -> list[str]:
    """Installed apps whose name begins as typed."""

    def ask(client: Client) -> list[str]:
        from wayhouse.api.resources import chutes

        return [chute.name for chute in client.call(chutes.LIST)]

    return _names(context, incomplete, ask)


def device_names(context: typer.Context, incomplete: str) -> list[str]:
    """Devices whose name begins as typed."""

    def ask(client: Client) -> list[str]:
        from wayhouse.api.resources import devices

        return [device.name for device in client.call(devices.LIST)]

    return _names(context, incomplete, ask)


def overlay_names(context: typer.Context, incomplete: str) -> list[str]:
    """Overlays of the gateway whose name begins as typed."""

    def ask(client: Client) -> list[str]:
        from wayhouse.api.resources import overlays

        return [overlay.name for overlay in client.call(overlays.LIST)]

    return _names(context, incomplete, ask)


def overlay_peers(context: typer.Context, incomplete: str) -> list[str]:
    """Peers whose name begins as typed, of the overlay that is named or the only one."""
    wanted = context.params.get("overlay")

    def ask(client: Client) -> list[str]:
        from wayhouse.api.resources import overlays

        known = [overlay.name for overlay in client.call(overlays.LIST)]
        fitting = [one for one in known if wanted in {None, one}]
        if len(fitting) != 1:
            return []
        return [link.name or link.uid for link in client.call(overlays.LINKS, name=fitting[0])]

    return _names(context, incomplete, ask)


def _names(context: typer.Context, incomplete: str, ask: Callable[[Client], list[str]]) -> list[str]:
    wanted = _wanted(context.params).over(_wanted(context.find_root().params))
    try:
        return sorted(name for name in ask(_client(wanted)) if name.startswith(incomplete))
    except (WayhouseError, OSError):
        return []


def _client(wanted: Wanted) -> Client:
    from wayhouse.cli.choice import choose

    env = dict(os.environ)
    return choose(wanted.over(from_environment(env)), env).client(env, answer_s=PATIENCE_S)


def _wanted(given: Mapping[str, Any]) -> Wanted:
    data = given.get("data")
    return Wanted(
        gateway=given.get("gateway"),
        data=Path(data) if data is not None else None,
        fingerprint=given.get("fingerprint"),
        insecure=bool(given.get("insecure")),
    )
