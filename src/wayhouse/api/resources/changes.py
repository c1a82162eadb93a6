"""Changes: what is going on, what was, and the stream of each."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from wayhouse.access.model import Identity
from wayhouse.access.policy import Right, demand
from wayhouse.api import wire
from wayhouse.api.actors import actor_of
from wayhouse.api.resources.chutes import ChuteResource
from wayhouse.api.table import Call, Channel, Frame, Frames, Incoming, Rows, endpoint
from wayhouse.base.errors import BadInputError, ForbiddenError
from wayhouse.ledger.model import Change, Line, State, Wish

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.chutes.service import Chutes
    from wayhouse.ledger.service import Ledger

CHANGES = "/api/v1/changes/"
CHANGE = "/api/v1/changes/{id}"
NODE = "__PARADROP__"
MOST_DIGITS = 9
_USE = {"start", "stop", "restart"}
_CLASSES = {"chute": "CHUTE", "router": "ROUTER", "snap": "SNAP"}


class ChangeResource:
    def __init__(self, ledger: Ledger, chutes: Chutes, chute_resource: ChuteResource) -> None:
        self._ledger = ledger
        self._chutes = chutes
        self._chute_resource = chute_resource

    async def index(self, call: Call) -> list[wire.ChangeView]:
        return [change_view(one) for one in self._ledger.open_changes() if _may_see(call.who, one)]

    async def history(self, call: Call) -> list[wire.ChangeView]:
        limit = call.query_number("limit", 50, most=1000) or 0
        before = call.query_number("before")
        chute = call.query.get("chute") or call.who.chute
        found = self._ledger.history(limit=limit, before=before, resource=f"chute/{chute}" if chute else None)
        return [change_view(one) for one in found if _may_see(call.who, one)]

    async def get(self, call: Call) -> wire.ChangeView:
        return change_view(self._change(call))

    async def cancel(self, call: Call) -> wire.ChangeView:
        change = self._change(call)
        room, _, verb = change.wish.kind.partition(".")
        self._demand(call, room, verb, change.wish.name)
        return change_view(await self._ledger.cancel(change.id, actor_of(call.who)))

    async def create(self, call: Call) -> wire.ChangeRef:
        order = call.body(wire.NewChange)
        match order.updateClass:
            case "CHUTE":
                self._demand(call, "chute", order.updateType, order.name)
                change = await self._chute_change(order, call)
            case "ROUTER":
                self._demand(call, "router", order.updateType, order.name)
                wish = Wish(kind=f"router.{order.updateType}", resource="router", name=NODE)
                change = await self._ledger.submit(wish, actor_of(call.who))
            case _:
                raise BadInputError("`updateClass` must be CHUTE or ROUTER.", path="updateClass")
        return wire.ChangeRef(change.id)

    async def stream(self, call: Call, incoming: Incoming) -> Frames:
        return self._frames(self._change(call).id, lines_had(incoming.resume))

    async def _frames(self, change_id: int, start: int) -> Frames:
        """The cursor of a line is how many there are up to and with it."""
        async with aclosing(self._ledger.watch(change_id, start)) as batches:  # type: ignore[type-var]
            async for batch in batches:
                for entry in batch:
                    yield Frame(entry.json, str(entry.number + 1))

    async def _chute_change(self, order: wire.NewChange, call: Call) -> Change:
        actor = actor_of(call.who)
        environment = wire.as_environment(order.environment)
        match order.updateType:
            case "start":
                return await self._chutes.start(order.name, actor, environment)
            case "stop":
                return await self._chutes.stop(order.name, actor)
            case "restart":
                return await self._chutes.restart(order.name, actor, environment)
            case "delete":
                return await self._chutes.delete(order.name, actor)
            case "create" | "update":
                config = {**(order.config or {}), "name": order.name}
                if order.download is not None:
                    config["download"] = order.download
                received = await self._chutes.receive_config(config)
                verb = self._chutes.create if order.updateType == "create" else self._chutes.update
                return await verb(received, actor)
            case _:
                raise BadInputError(
                    "`updateType` must be create, update, delete, start, stop or restart.", path="updateType"
                )

    def _change(self, call: Call) -> Change:
        change = self._ledger.get(call.number("id"))
        if not _may_see(call.who, change):
            raise ForbiddenError("You do not have permission to access the requested chute.")
        return change

    def _demand(self, call: Call, room: str, verb: str, name: str) -> None:
        """The right that the change's own route demands."""
        if room == "chute":
            right = Right.USE_CHUTE if verb in _USE else Right.CHANGE_CHUTE
            demand(right, call.who, chute=name, chute_owner=self._chute_resource.owner_of(name))
        else:
            demand(Right.ADMINISTER, call.who)


def lines_had(cursor: str | None) -> int:
    """Raises `BadInputError`."""
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > MOST_DIGITS:
        raise BadInputError(
            "The cursor of a change's stream is the number of lines you have had. Leave it out to begin with the first.",
            path="resume",
        )
    return int(cursor)


def _may_see(identity: Identity, change: Change) -> bool:
    return identity.chute is None or change.wish.resource == f"chute/{identity.chute}"


def change_view(change: Change) -> wire.ChangeView:
    room, _, verb = change.wish.kind.partition(".")
    return wire.ChangeView(
        id=change.id,
        updateClass=_CLASSES.get(room, room.upper()),
        updateType=verb,
        user=wire.UserRef(change.actor.name, change.actor.domain, change.actor.role),
        name=change.wish.name,
        version=change.wish.version,
        status="processing" if change.state in {State.RUNNING, State.UNDOING} else change.state.value,
        state=change.state.value,
        created=change.created,
        started=change.started,
        ended=change.ended,
        reason=change.reason,
    )


_R = ChangeResource
LIST = endpoint(
    "GET", CHANGES, Right.SEE_CHANGES, "Changes that run or wait", _R.index, reply=list[wire.ChangeView]
)
CREATE = endpoint(
    "POST", CHANGES, Right.SEE_CHANGES, "Ask for a change in ParaDrop's words", _R.create,
    body=wire.NewChange, reply=wire.ChangeRef,
)  # fmt: skip
HISTORY = endpoint(
    "GET", "/api/v1/changes/history", Right.SEE_CHANGES, "Changes of all states, newest first", _R.history,
    reply=list[wire.ChangeView],
    query={"limit": "How many, 50 if not given", "before": "Continue below this id", "chute": "Only of this chute"},
)  # fmt: skip
GET = endpoint("GET", CHANGE, Right.SEE_CHANGES, "One change", _R.get, reply=wire.ChangeView)
CANCEL = endpoint(
    "DELETE", CHANGE, Right.SEE_CHANGES, "Take a waiting change back", _R.cancel, reply=wire.ChangeView
)
STREAM = Channel(
    path="/ws/changes/{id}/stream", right=Right.SEE_CHANGES, summary="Its progress, from the first line to the last",
    opener=_R.stream, frame=Line, resumes=True,
)  # fmt: skip

ROWS: Rows = (LIST, CREATE, HISTORY, GET, CANCEL, STREAM)
