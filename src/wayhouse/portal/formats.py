"""How numbers and times look to people. Used by the templates as filters; all pure."""

from __future__ import annotations

from datetime import UTC, datetime

LONGEST_S = 1e12
"""Longer than anything that is shown; it keeps infinity out."""
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def size(count: float | None) -> str:
    """Bytes in units of 1024: "12 MB"; a dash for None."""
    if count is None:
        return "–"  # noqa: RUF001 - an en dash is what is meant
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    digits = 1 if unit >= 3 and value < 100 else 0
    return f"{value:.{digits}f} {_UNITS[unit]}"


def percent(value: float | None) -> str:
    """As in "3 %"; below ten with one digit; a dash for None."""
    if value is None:
        return "–"  # noqa: RUF001 - an en dash is what is meant
    return f"{value:.1f} %" if 0.05 <= value < 10 else f"{value:.0f} %"


def duration(seconds: float | None) -> str:
    """The two largest units: "3 d 4 h", "12 min", "8 s"."""
    if seconds is None:
        return ""
    if 0 < seconds < 1:
        return "under 1 s"
    rest = int(min(max(0.0, seconds), LONGEST_S))
    parts = []
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def iso(time: float | None) -> str:
    """Unix seconds as RFC 3339 in UTC; the browser shows it in local time. "" for None."""
    if time is None:
        return ""
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return ""


def moment(time: float | None) -> str:
    """What is shown until the browser has put its local time there."""
    return iso(time).replace("T", " ").removesuffix("Z")


def ago(time: float | None, now: float) -> str:
    """How long ago: "just now", "5 min ago", "3 d ago"."""
    if time is None:
        return ""
    passed = now - time
    if passed < 5:
        return "just now"
    return duration(passed).split(" ")[0] + " " + duration(passed).split(" ")[1] + " ago"


def until(time: float | None, now: float) -> str:
    """How soon: "in 5 min", "in 3 d 4 h", "now"; "" for None."""
    if time is None:
        return ""
    return f"in {duration(time - now)}" if time - now >= 1 else "now"
