"""All settings as one flat list of lower-case names, as `/config/settings` shows them; secrets are masked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wayhouse.host.masking import masked

MAX_DEPTH = 8


def flat(tree: Mapping[str, Any], *, prefix: str = "", depth: int = MAX_DEPTH) -> dict[str, Any]:
    """`{"access": {"login_attempts": 5}}` becomes `{"access_login_attempts": 5}`; lists stay as they are."""
    out: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}".lower()
        if isinstance(value, Mapping) and value and depth > 0:
            out |= flat(value, prefix=f"{name}_", depth=depth - 1)
        else:
            out[name] = masked(name, value)
    return out


def view(own: Mapping[str, Any], legacy: Mapping[str, Any]) -> dict[str, Any]:
    """Our settings and, under ParaDrop's names, what old clients look for; ours win."""
    return dict(sorted((flat(legacy) | flat(own)).items()))
