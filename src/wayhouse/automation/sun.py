"""When the sun rises and sets at a place, day by day, through astral. Pure; called by `occurrence`.

Rule: a day without that moment (the polar day and night) is passed over; a place that is not known is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

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
    observer = Observer(place.latitude, place.longitude)
    zone = zone_of(place.zone)
    for number in range(LONGEST_DAYS):
        try:
            moment = _MOMENTS[phase](observer, first + timedelta(days=number), tzinfo=zone)
        except (ValueError, ArithmeticError):
            continue
        yield round(moment.timestamp())
