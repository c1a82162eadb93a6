"""The bus: how it does, asking a service by hand, durable requests; with the keys of the clone and Titanic's store."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from wayhouse.access.policy import Right
from wayhouse.api import wire
from wayhouse.api import wire_bus as words
from wayhouse.api.resources.bus_asking import LOOK_S, NoAnswerError, RequestFailedError
from wayhouse.api.resources.bus_keys import BusKeys
from wayhouse.api.resources.bus_pulse import Pulse
from wayhouse.api.resources.bus_store import BusStore
from wayhouse.api.table import Call, Channel, Frames, Incoming, Rows, endpoint
from wayhouse.base import ids
from wayhouse.base.errors import BadInputError
from wayhouse.bus.model import UNKNOWN, GenericError
from wayhouse.bus.overview import (
    BusOverview,
    DurableRequests,
    ServiceFigures,
    WorkerFigures,
    durable_requests,
    figures,
)

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.bus.service import Bus

BUS = "/api/v1/bus"
KEYS = BUS + "/keys"
STORE = BUS + "/store"
STORED = STORE + "/{service}/{section}/{key}"
MOST_REQUESTS = 1000
MOST_NAME = 255
_STATUS = re.compile(rb"[1-5][0-9]{2}")


class BusResource(BusKeys, BusStore):
    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self._pulse = Pulse(bus.overview)

    async def overview(self, call: Call) -> BusOverview:
        return await self._bus.overview()

    async def services(self, call: Call) -> list[ServiceFigures]:
        return figures(await self.ask("mmi.stats", [b""], timeout_s=LOOK_S)).services

    async def workers(self, call: Call) -> list[WorkerFigures]:
        wanted = call.query.get("service")
        found = figures(await self.ask("mmi.stats", [b""], timeout_s=LOOK_S)).workers
        return [one for one in found if wanted in {None, one.service}]

    async def requests(self, call: Call) -> DurableRequests:
        limit = call.query_number("limit", 100, most=MOST_REQUESTS) or 1
        body = [call.query.get("filter", "").encode(), b"%d" % limit]
        return durable_requests(await self.ask("titanic.list", body, timeout_s=LOOK_S))

    async def call(self, call: Call) -> words.CallReply:
        order = call.body(words.CallOrder)
        _check(order)
        loop = asyncio.get_running_loop()
        began = loop.time()
        frames = [words.data_of(one) for one in order.request] or [b""]
        if order.durable:
            found = await self._durable(order, frames)
        else:
            if not order.wait:
                await self.demand_served(order.service)
            reply = await self.ask(order.service, frames, timeout_s=order.timeout_s, once=order.once)
            found = words.CallReply(
                reply=words.pieces(reply), status=status_of(order.service, reply), took_s=0.0
            )
        return words.CallReply(
            reply=found.reply, status=found.status, took_s=round(loop.time() - began, 6), id=found.id
        )

    async def follow(self, call: Call, _incoming: Incoming) -> Frames:
        return self._overviews()

    async def _overviews(self) -> Frames:
        number = 0
        while True:
            number, text = await self._pulse.after(number)
            yield text

    async def _durable(self, order: words.CallOrder, frames: list[bytes]) -> words.CallReply:
        """An answer to an id that was given is kept: whoever gave it may ask again."""
        self.demand_up()
        name = order.id or ids.token_hex()
        uuid = bytes.fromhex(name)
        try:
            async with asyncio.timeout(order.timeout_s):
                reply = await self._bus.ask(order.service, frames, uuid=uuid, once=order.once)
        except TimeoutError:
            raise NoAnswerError(await self._how_far(order.service, name), id=name) from None
        except GenericError as error:
            raise RequestFailedError(
                f"The request will have no answer: {error.value}. Nothing more is tried; use another id to try again.",
                id=name,
            ) from error
        if order.id is None:
            await self._bus.close_request(uuid)
        return words.CallReply(
            reply=words.pieces(reply), status=status_of(order.service, reply), took_s=0.0, id=name
        )

    async def _how_far(self, service: str, name: str) -> str:
        """What has become of a durable request that has no answer. Raises `BusAwayError`, `NoAnswerError`."""
        told = await self.ask("titanic.status", [name.encode()], timeout_s=LOOK_S)
        again = f"Ask again with the same request and the id {name}"
        if told[1:] == [UNKNOWN]:
            return f"The request could not be handed in. {again}; it is done once at most."
        return f"{service} has not answered yet; the request is kept, and done once it can be. {again} for its answer."


def _check(order: words.CallOrder) -> None:
    """Raises `BadInputError`."""
    if order.id is not None and not order.durable:
        raise BadInputError("Only a durable request has an id.", path="id")
    if "\0" in order.service or len(order.service.encode("utf-8", "surrogatepass")) > MOST_NAME:
        raise BadInputError(f"A service's name has at most {MOST_NAME} bytes and no NUL.", path="service")


def status_of(service: str, reply: list[bytes]) -> int | None:
    """The last frame, or the first one for the services of Titanic that have it there; None where it is no status."""
    is_first = service.startswith("titanic.") and service != "titanic.store"
    frame = (reply[0] if is_first else reply[-1]) if reply else b""
    return int(frame) if _STATUS.fullmatch(frame) else None


_R = BusResource
SEE, ADMINISTER = Right.SEE_DEVICES, Right.ADMINISTER
_PREFIX = {"prefix": "How the keys begin, such as `/device/`; all if not given"}
_KEY = {"key": "The key, such as `/house/mode`, percent-encoded"}
OVERVIEW = endpoint(
    "GET", BUS, SEE, "How the bus does, as far as it is there", _R.overview, reply=BusOverview
)
SERVICES = endpoint(
    "GET", BUS + "/services", SEE, "Services on the bus, by name", _R.services, reply=list[ServiceFigures]
)
WORKERS = endpoint(
    "GET", BUS + "/workers", SEE, "Workers on the bus", _R.workers, reply=list[WorkerFigures],
    query={"service": "Only those of this service"},
)  # fmt: skip
REQUESTS = endpoint(
    "GET", BUS + "/requests", SEE, "Durable requests, newest first", _R.requests, reply=DurableRequests,
    query={
        "filter": "`waiting`, `sent`, `answered` or `failed`, or else a part of the service's name",
        "limit": "How many, 100 if not given",
    },
)  # fmt: skip
CALL = endpoint(
    "POST", BUS + "/call", ADMINISTER, "Ask a service, and wait for its reply", _R.call,
    body=words.CallOrder, reply=words.CallReply,
)  # fmt: skip
LIST_KEYS = endpoint(
    "GET", KEYS, SEE, "Keys of the clone with their values, by name", _R.keys, reply=words.KeyList,
    query={**_PREFIX, "limit": "How many, 1000 if not given"},
)  # fmt: skip
PUBLISH = endpoint(
    "PUT", KEYS, ADMINISTER, "Publish a key", _R.publish, body=words.KeyOrder, reply=wire.Success, query=_KEY
)
DELETE_KEY = endpoint(
    "DELETE", KEYS, ADMINISTER, "Delete a key", _R.delete_key, reply=wire.Success, query=_KEY
)
NAMES = endpoint(
    "GET", STORE, SEE, "What the store has: services, sections of one, or keys of a section", _R.names,
    reply=words.StoreNames,
    query={"service": "Whose sections", "section": "Of it, whose keys", "after": "Go on behind this name"},
)  # fmt: skip
GET_VALUE = endpoint("GET", STORED, SEE, "A stored value", _R.value, reply=words.StoredValue)
PUT_VALUE = endpoint(
    "PUT", STORED, ADMINISTER, "Store a value, if wanted only over a certain revision", _R.put_value,
    body=words.StoreOrder, reply=words.StoredValue,
)  # fmt: skip
DELETE_VALUE = endpoint(
    "DELETE", STORED, ADMINISTER, "Delete a stored value", _R.delete_value, reply=wire.Success
)
HISTORY = endpoint(
    "GET", STORED + "/history", SEE, "What it was before, newest first", _R.history,
    reply=list[words.StoredRevision],
)  # fmt: skip
FOLLOW = Channel(
    path="/ws/bus",
    right=SEE,
    summary="How the bus does, each second",
    opener=_R.follow,
    frame=BusOverview,
    tells_all=True,
)
FOLLOW_KEYS = Channel(
    path="/ws/bus/keys", right=SEE, opener=_R.follow_keys, frame=words.KeyFrame,
    summary="Keys of the clone as they change: `?prefix=/device/`, `?values=1` for those that there are before",
)  # fmt: skip

ROWS: Rows = (
    OVERVIEW, SERVICES, WORKERS, REQUESTS, CALL, LIST_KEYS, PUBLISH, DELETE_KEY, NAMES, GET_VALUE, PUT_VALUE, DELETE_VALUE,
    HISTORY, FOLLOW, FOLLOW_KEYS,
)  # fmt: skip
