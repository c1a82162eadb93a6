"""How the resource of the bus asks: what keeps it from an answer becomes a status that says what to do. The base of its parts."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from wayhouse.base.errors import NotFoundError, OutsideError, UnavailableError, WayhouseError
from wayhouse.bus.model import OK, Frames, NoReplyError

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.bus.service import Bus

TITANIC = "titanic"
LOOK_S = 5.0
MOST_SIMILAR = 3
MOST_COMPARED = 1000
"""Names that are compared letter by letter, which takes the loop's time."""


class BusAwayError(UnavailableError):
    """A process of the bus does not run."""

    code = "bus-away"
    title = "The bus is away"


class NoAnswerError(WayhouseError):
    code = "bus-no-answer"
    status = 504
    title = "No reply in time"


class NoSuchServiceError(NotFoundError):
    """No worker serves it now; `similar` in the fields are names of services that have one."""

    code = "bus-no-such-service"
    title = "Nobody serves this"


class RequestFailedError(OutsideError):
    """A durable request that will have no answer."""

    code = "bus-request-failed"
    title = "The request has failed"


class BusAsking:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def demand_up(self) -> None:
        """Raises `BusAwayError`."""
        if not self._bus.is_up:
            raise self._away("bus")

    async def ask(
        self, service: str, request: Sequence[bytes], *, timeout_s: float, once: bool = False
    ) -> Frames:
        """The reply's body. Raises `BusAwayError`, `NoAnswerError`."""
        self._blame(service)
        try:
            return await self._bus.call(service, list(request), timeout_s=timeout_s, once=once)
        except NoReplyError:
            self._blame(service)
            raise NoAnswerError(
                f"{service} did not answer within {timeout_s:g} seconds. Does a worker serve it? "
                "`wayhouse bus services` and GET /api/v1/bus/services list those that are there."
            ) from None

    async def demand_served(self, service: str) -> None:
        """What this gateway serves itself is, or is back in a moment. Raises `NoSuchServiceError`, `BusAwayError`, `NoAnswerError`."""
        self._blame(service)
        if service.startswith("mmi.") or self._bus.serves(service):
            return
        name = service.encode("utf-8", "surrogatepass")
        if (await self.ask("mmi.service", [name], timeout_s=LOOK_S))[-1:] == [OK]:
            return
        similar = names_like(service, await self._served())
        meant = f" Did you mean {' or '.join(similar)}?" if similar else ""
        raise NoSuchServiceError(
            f"No worker serves {service} now.{meant} `wayhouse bus services` and GET /api/v1/bus/services list those that are there; "
            "with `--wait` (in the API `wait`) a request waits for a worker to come.",
            similar=similar,
        )

    async def _served(self) -> list[str]:
        """Names of services that have a worker."""
        counted = (await self.ask("mmi.directory", [b""], timeout_s=LOOK_S))[0]
        return [one.rpartition(b"=")[0].decode("utf-8", "replace") for one in counted.split(b"|") if one]

    def _blame(self, service: str) -> None:
        """Raises `BusAwayError` if it is known who is to blame."""
        self.demand_up()
        titanic = next((one for one in self._bus.processes() if one.name == TITANIC), None)
        if service.startswith(f"{TITANIC}.") and (titanic is None or not titanic.is_ready):
            raise self._away(TITANIC)

    def _away(self, name: str) -> BusAwayError:
        process = next((one for one in self._bus.processes() if one.name == name), None)
        said = f" It wrote last: {process.lines[-1]}" if process is not None and process.lines else ""
        return BusAwayError(
            f"The process {name} of the bus does not run now; the gateway starts it again by itself. Try again in a moment; "
            f"`wayhouse bus status` says more.{said}"
        )


def names_like(wanted: str, names: Sequence[str]) -> list[str]:
    """The few that hold it or that it holds, else those that differ little; best first."""
    low = wanted.lower()
    holding = [name for name in names if low and (low in name.lower() or name.lower() in low)]
    if holding:
        return holding[:MOST_SIMILAR]
    return difflib.get_close_matches(wanted, list(islice(names, MOST_COMPARED)), n=MOST_SIMILAR, cutoff=0.7)
