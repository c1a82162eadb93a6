"""Does what is asked once, however often it is asked again with the same request id; and finishes it when the one who asked has gone.

Used by `goods.py` for commands that peers repeat after a lost connection. Rules: an outcome is kept as long as anybody sane asks again, and of each peer
only so many; what is known is of this process alone, so who asks compares the instance of the gateway (`door_words.Hello`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from wayhouse.base.errors import TooManyRequestsError, UnavailableError, WayhouseError
from wayhouse.base.tasks import Tasks

MOST_EACH = 256
"""Outcomes that are kept of one asker."""


class Once:
    """`tasks` carries the work. Outcomes are kept in the order of asking, the oldest are forgotten first."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._known: dict[str, OrderedDict[str, asyncio.Future[Any]]] = {}

    async def do(self, asker: str, request: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """What `work` returns or raises (a `WayhouseError`); with an empty `request` it is always done."""
        known = self._known.setdefault(asker, OrderedDict())
        future = known.get(request) if request else None
        if future is None:
            future = asyncio.get_running_loop().create_future()
            if request:
                _make_room(known)
                known[request] = future
            self._tasks.spawn(_carry_out(work, future), name="asked by a peer")
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if future.cancelled():
                raise UnavailableError("The gateway is stopping. Ask again in a moment.") from None
            raise


def _make_room(known: OrderedDict[str, asyncio.Future[Any]]) -> None:
    """Raises `TooManyRequestsError` when all that is kept is still being done."""
    if len(known) < MOST_EACH:
        return
    over = next((request for request, future in known.items() if future.done()), None)
    if over is None:
        raise TooManyRequestsError("Too much is being done for you already. Wait until some of it is done.")
    del known[over]


async def _carry_out(work: Callable[[], Awaitable[Any]], future: asyncio.Future[Any]) -> None:
    try:
        result = await work()
    except WayhouseError as error:
        future.set_exception(error)
        future.exception()  # it may be that nobody waits any more
    except BaseException:
        future.cancel()
        raise
    else:
        future.set_result(result)
