"""How the resource of the bus asks: what keeps it from an answer becomes a status that says what to do. The base of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wayhouse.base.errors import OutsideError, UnavailableError, WayhouseError
from wayhouse.bus.model import Frames, NoReplyError

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.bus.service import Bus

TITANIC = "titanic"


class BusAwayError(UnavailableError):
    """A process of the bus does not run."""

    code = "bus-away"
    title = "The bus is away"


class NoAnswerError(WayhouseError):
    code = "bus-no-answer"
    status = 504
    title = "No reply in time"


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
