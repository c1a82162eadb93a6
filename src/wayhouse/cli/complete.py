"""Shell completion of names that only the gateway knows. Any failure means: no suggestions, and nothing is said."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from wayhouse.base.errors import WayhouseError
from wayhouse.cli.wanted import Wanted, from_environment

PATIENCE_S = 2.0


def chute_names(context: typer.Context, incomplete: str) -> list[str]:
    """Installed apps whose name begins as typed."""
    wanted = _wanted(context.params).over(_wanted(context.find_root().params))
    try:
        return [name for name in _ask(wanted) if name.startswith(incomplete)]
    except (WayhouseError, OSError):
        return []


def _ask(wanted: Wanted) -> list[str]:
    from wayhouse.api.resources import chutes
    from wayhouse.cli.choice import choose

    env = dict(os.environ)
    client = choose(wanted.over(from_environment(env)), env).client(env, answer_s=PATIENCE_S)
    return sorted(chute.name for chute in client.call(chutes.LIST))


def _wanted(given: Mapping[str, Any]) -> Wanted:
    data = given.get("data")
    return Wanted(
        gateway=given.get("gateway"),
        data=Path(data) if data is not None else None,
        fingerprint=given.get("fingerprint"),
        insecure=bool(given.get("insecure")),
    )
