"""systemd-timesyncd(8), through timedatectl(1): `show` tells whether it is on, `timesync-status` how it does."""

from __future__ import annotations

import re

from wayhouse.automation.clock_model import Kept, Source
from wayhouse.automation.drivers.programs import Programs

MAX_LINES = 100
_UNITS_S = {
    "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0,
    "month": 2629800.0, "y": 31557600.0,
}  # fmt: skip
_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(us|ms|s|min|h|d|w|month|y)")


async def ask(programs: Programs) -> Kept | None:
    """None without systemd, or when timesyncd is not on."""
    shown = await programs.run("timedatectl", "show")
    if shown is None or not shown.is_done or properties(shown.out).get("NTP") != "yes":
        return None
    is_synchronised = properties(shown.out).get("NTPSynchronized") == "yes"
    status = await programs.run("timedatectl", "timesync-status")
    if status is None or not status.is_done:
        return None
    return parse(status.out, is_synchronised=is_synchronised)


def properties(text: str) -> dict[str, str]:
    """The lines `Name=value` of `timedatectl show`."""
    pairs = (line.partition("=") for line in text.splitlines()[:MAX_LINES])
    return {name.strip(): value.strip() for name, separator, value in pairs if separator}


def parse(text: str, *, is_synchronised: bool) -> Kept | None:
    """What `timesync-status` prints; None if it names no server. Its offset is the server's to ours."""
    pairs = (line.partition(":") for line in text.splitlines()[:MAX_LINES])
    found = {name.strip(): value.strip() for name, _, value in pairs}
    if "Server" not in found:
        return None
    offset = span(found.get("Offset", ""))
    stratum = found.get("Stratum", "")
    return Kept(
        source=Source.TIMESYNCD,
        is_synchronised=is_synchronised,
        offset_s=-offset if offset is not None and is_synchronised else None,
        server=found["Server"][:253],
        stratum=int(stratum) if stratum.isascii() and stratum.isdigit() and len(stratum) <= 2 else None,
    )


def span(text: str) -> float | None:
    """Seconds of a time span as systemd prints it, such as `-2min 3.5s`; None for what is none."""
    body = text.strip()
    sign = -1.0 if body.startswith("-") else 1.0
    parts = body.removeprefix("-").removeprefix("+").split()
    if parts == ["0"]:
        return 0.0
    total = 0.0
    for part in parts:
        found = _PART.fullmatch(part)
        if found is None:
            return None
        total += float(found[1]) * _UNITS_S[found[2]]
    return sign * total if parts else None
