"""The daemon's environment variables for `/info/environment`, with secrets masked. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from wayhouse.host.masking import masked


def shown(environment: Mapping[str, str]) -> dict[str, str]:
    """Name to text; bytes that are no UTF-8 are replaced, since the answer is JSON."""
    return {_text(name): _text(str(masked(name, value))) for name, value in sorted(environment.items())}


def _text(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
