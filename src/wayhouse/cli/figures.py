"""Numbers as people read them: sizes, spans, moments. Used by everything in this room that prints. Pure."""

from __future__ import annotations

import datetime

UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: float) -> str:
    """`1536` is "1.5 KiB"."""
    unit = UNITS[0]
    for unit in UNITS:
        if abs(count) < 1024 or unit == UNITS[-1]:
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" or abs(count) >= 100 else f"{count:.1f} {unit}"


def span(seconds: float) -> str:
    """`3725` is "1 h 2 min": the two largest units."""
    whole = max(0, int(seconds))
    if whole < 10:
        return f"{max(0.0, seconds):.1f} s"
    parts = [
        f"{count} {unit}"
        for count, unit in (
            (whole // 86400, "d"),
            (whole // 3600 % 24, "h"),
            (whole // 60 % 60, "min"),
            (whole % 60, "s"),
        )
        if count
    ]
    return " ".join(parts[:2])


def moment(seconds: float | None) -> str:
    """Unix seconds in local time, to the second; "" for None or for what is no moment."""
    if seconds is None:
        return ""
    try:
        return (
            datetime.datetime.fromtimestamp(seconds, datetime.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        )
    except (ValueError, OverflowError, OSError):
        return ""


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def seconds_of(text: str) -> float | None:
    """A span as people write it: `90s`, `15m`, `12h`, `7d`, `2w`; None for what is none."""
    number, unit = text[:-1], text[-1:]
    if unit not in UNITS_S or not number.isascii() or len(number) >= 12:
        return None
    return float(number) * UNITS_S[unit] if number.replace(".", "", 1).isdigit() else None
