"""When the sun rises and sets at a place, day by day, through astral. Pure; called by `occurrence`.

Rule: a day without that moment (the polar day and night) is passed over; a place that is not known is refused.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, tzinfo

from astral import Observer
from astral.sun import dawn, dusk, sunrise, sunset

from wayhouse.automation.model import BadScheduleError, Place, zone_of
from wayhouse.automation.schedule import Phase

LONGEST_DAYS = 370
"""Days that are looked at: the night of the poles lasts half a year."""
_MOMENTS: dict[Phase, Callable[..., datetime]] = {
    Phase.DAWN: dawn,
    Phase.SUNRISE: sunrise,
    Phase.SUNSET: sunset,
    Phase.DUSK: dusk,
}


def moments(phase: Phase, place: Place, first: date) -> Iterator[int]:
    """The instants from the day `first` on, as clocks of the place count days, for a little more than a year.

    Raises `BadScheduleError` for a place without latitude and longitude.
    """
    if place.latitude is None or place.longitude is None:
        raise BadScheduleError(f"`@{phase}` needs a place: set latitude and longitude of the gateway.")
    zone = zone_of(place.zone)
    for number in range(LONGEST_DAYS):
        day = first + timedelta(days=number)
        moment = _moment(phase, place.latitude, place.longitude, zone, day)
        if moment is not None:
            yield moment


@functools.lru_cache(maxsize=256)
def _moment(phase: Phase, latitude: float, longitude: float, zone: tzinfo, day: date) -> int | None:
    """None: not on that day. Remembered, since a day is looked at for the next moment and again for the one after that."""
    try:
        return round(_MOMENTS[phase](Observer(latitude, longitude), day, tzinfo=zone).timestamp())
    except (ValueError, ArithmeticError):
        return None
