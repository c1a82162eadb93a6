"""How the value of a device looks to people: "on", "21.5 °C", "not known". Used by the pages of devices and scenarios; pure."""

from __future__ import annotations

from typing import Any

from wayhouse.base import codec
from wayhouse.portal import formats

MOST = 120
NOT_KNOWN = "–"  # noqa: RUF001 - an en dash is what is meant


def shown(value: Any, unit: str = "") -> str:
    """On one line, at most `MOST` letters."""
    text = _text(value)
    return f"{text} {unit}" if unit and text != NOT_KNOWN and not isinstance(value, bool) else text


def number(value: float) -> str:
    """With as many digits as matter: "21.5", "1013", "0.002"."""
    size = abs(value)
    if isinstance(value, int) or size >= 1e15:
        return f"{value:g}" if size >= 1e15 else str(value)
    if size >= 1000 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.3g}" if size < 1 else f"{value:.4g}"


def editable(value: Any) -> str:
    """As it stands in a field of a form."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _json(value)


def moment_of(value: Any) -> str:
    """What a clock shows, whose value is Unix seconds."""
    return f"{formats.moment(value)} UTC" if isinstance(value, (int, float)) else NOT_KNOWN


def _text(value: Any) -> str:
    if value is None or value == "":
        return NOT_KNOWN
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (int, float)):
        return number(value)
    text = " ".join((value if isinstance(value, str) else _json(value)).split())
    return text if len(text) <= MOST else text[: MOST - 1] + "…"


def _json(value: Any) -> str:
    return codec.encode_json(value).decode("utf-8", "replace")
