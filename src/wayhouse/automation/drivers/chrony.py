"""chrony(1): what `chronyc -c -n tracking` says. A chronyd that does not run is None."""

from __future__ import annotations

import math

from wayhouse.automation.clock_model import Kept, Source
from wayhouse.automation.drivers.programs import Programs

FIELDS = 14
_NAME, _STRATUM, _CORRECTION, _LEAP = 1, 2, 4, 13
_UNSYNCHRONISED = "not synchronised"


async def ask(programs: Programs) -> Kept | None:
    ran = await programs.run("chronyc", "-c", "-n", "tracking")
    return parse(ran.out) if ran is not None and ran.is_done else None


def parse(text: str) -> Kept | None:
    """None for what is no answer of chronyd. Its fields are: reference id, address, stratum, reference time, correction (seconds that
    the system's clock is behind), last offset, RMS offset, frequency, residual, skew, root delay, dispersion, interval, leap status."""
    fields = text.strip().split(",")
    if len(fields) != FIELDS:
        return None
    try:
        stratum, correction = int(fields[_STRATUM][:4]), float(fields[_CORRECTION])
    except ValueError:
        return None
    is_synchronised = fields[_LEAP].strip().lower() != _UNSYNCHRONISED and 0 < stratum < 16
    return Kept(
        source=Source.CHRONY,
        is_synchronised=is_synchronised,
        offset_s=-correction if is_synchronised and math.isfinite(correction) else None,
        server=fields[_NAME][:253],
        stratum=stratum if is_synchronised else None,
    )
