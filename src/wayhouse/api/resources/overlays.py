"""Overlays: the private networks that this gateway is in, its peers there, and who may join and reach what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wayhouse.access.policy import Right
from wayhouse.api import wire
from wayhouse.api import wire_overlays as words
from wayhouse.api.table import Call, Channel, Frames, Incoming, Rows, endpoint
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.overlay.model import NoSuchPeerError
from wayhouse.overlay.netcheck import NetReport
from wayhouse.overlay.orders import Code, Founding, Inviting, Issued, Joining, Setup, Tuning
from wayhouse.overlay.views import LinkView, OverlayChanged, OverlayState, OverlayView, Received

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.base.events import Events
    from wayhouse.overlay.service import Overlays

OVERLAYS = "/api/v1/overlay/networks"
OVERLAY = "/api/v1/overlay/networks/{name}"
MOST_WAITING = 1000


class OverlayResource:
    """`received` tells what peers of an overlay give to this gateway."""

    def __init__(
        self, overlays: Overlays, events: Events, *, received: Callable[[str], Sequence[Received]]
    ) -> None:
        self._overlays, self._events, self._received = overlays, events, received

    async def index(self, call: Call) -> list[OverlayView]:
        return list(self._overlays.list())

    async def found(self, call: Call) -> OverlayView:
        return await self._overlays.found(call.body(Founding))

    async def join(self, call: Call) -> OverlayView:
        return await self._overlays.join(call.body(Joining))

    async def get(self, call: Call) -> OverlayState:
        return self._overlays.state(call.path["name"])

    async def leave(self, call: Call) -> wire.Success:
        await self._overlays.leave(call.path["name"])
        return wire.Success(True)

    async def setup(self, call: Call) -> Setup:
        return self._overlays.setup(call.path["name"])

    async def tune(self, call: Call) -> Setup:
        return await self._overlays.tune(call.path["name"], call.body(Tuning))

    async def links(self, call: Call) -> list[LinkView]:
        return list(self._overlays.links(call.path["name"]))

    async def link(self, call: Call) -> LinkView:
        return one_link(self._overlays.links(call.path["name"]), call.path["peer"])

    async def received(self, call: Call) -> list[Received]:
        return list(self._received(call.path["name"]))

    async def forget(self, call: Call) -> wire.Success:
        name = call.path["name"]
        await self._overlays.forget(name, one_link(self._overlays.links(name), call.path["peer"]).uid)
        return wire.Success(True)

    async def invitations(self, call: Call) -> list[Issued]:
        return list(self._overlays.invitations(call.path["name"]))

    async def invite(self, call: Call) -> Code:
        return await self._overlays.invite(call.path["name"], call.body(Inviting))

    async def revoke_invitation(self, call: Call) -> wire.Success:
        await self._overlays.revoke(call.path["name"], invitation_id=call.path["id"])
        return wire.Success(True)

    async def revoke(self, call: Call) -> wire.Success:
        wish = call.body(words.Revocation)
        await self._overlays.revoke(call.path["name"], uid=wish.uid)
        return wire.Success(True)

    async def netcheck(self, call: Call) -> NetReport:
        return await self._overlays.netcheck(call.path["name"])

    async def follow(self, call: Call, _incoming: Incoming) -> Frames:
        self._overlays.state(call.path["name"])
        return self._frames(call.path["name"])

    async def _frames(self, name: str) -> Frames:
        with self._events.subscribe(OverlayChanged, limit=MOST_WAITING) as heard:
            yield codec.encode_json(self._overlays.state(name)).decode()
            async for event in heard:
                if event.name != name:
                    continue
                if event.is_gone:
                    return
                yield codec.encode_json(self._overlays.state(name)).decode()


def one_link(links: tuple[LinkView, ...], reference: str) -> LinkView:
    """By uid, the beginning of one, name or address. Raises `NoSuchPeerError`, `BadInputError`."""
    exact = [one for one in links if reference in {one.uid, one.name, one.ip4, one.ip6}]
    found = exact or [one for one in links if len(reference) >= 4 and one.uid.startswith(reference)]
    if len(found) > 1:
        raise BadInputError(f"`{reference[:40]}` is more than one peer; say more of its uid.", path="peer")
    if not found:
        known = ", ".join(sorted(one.name or one.uid[:8] for one in links)[:10]) or "none"
        raise NoSuchPeerError(f"There is no peer `{reference[:40]}`. Known are: {known}.")
    return found[0]


_R = OverlayResource
SEE, CHANGE = Right.SEE_OVERLAYS, Right.CHANGE_OVERLAYS
LIST = endpoint("GET", OVERLAYS, SEE, "Overlays, by name", _R.index, reply=list[OverlayView])
FOUND = endpoint("POST", OVERLAYS, CHANGE, "Found an overlay", _R.found, body=Founding, reply=OverlayView)
JOIN = endpoint(
    "POST", "/api/v1/overlay/join", CHANGE, "Join one by an invitation", _R.join, body=Joining, reply=OverlayView
)  # fmt: skip
GET = endpoint("GET", OVERLAY, SEE, "One overlay, with its links", _R.get, reply=OverlayState)
LEAVE = endpoint("DELETE", OVERLAY, CHANGE, "Leave it; its keys are forgotten", _R.leave, reply=wire.Success)
SETUP = endpoint(
    "GET", OVERLAY + "/setup", CHANGE, "How it is set up, without secrets", _R.setup, reply=Setup
)
TUNE = endpoint(
    "PATCH", OVERLAY + "/setup", CHANGE, "Change what is named: rules, policies, servers, networks", _R.tune,
    body=Tuning, reply=Setup,
)  # fmt: skip
LINKS = endpoint(
    "GET", OVERLAY + "/links", SEE, "Peers and the links to them", _R.links, reply=list[LinkView]
)
LINK = endpoint(
    "GET", OVERLAY + "/links/{peer}", SEE, "One link, and why it is as it is", _R.link, reply=LinkView
)
RECEIVED = endpoint(
    "GET", OVERLAY + "/received", SEE, "What peers share with this gateway", _R.received, reply=list[Received]
)
FORGET = endpoint(
    "DELETE", OVERLAY + "/links/{peer}", CHANGE, "Forget a peer: its certificate is trusted anew", _R.forget, reply=wire.Success
)  # fmt: skip
INVITATIONS = endpoint(
    "GET", OVERLAY + "/invitations", CHANGE, "Invitations that were made here", _R.invitations, reply=list[Issued]
)  # fmt: skip
INVITE = endpoint(
    "POST", OVERLAY + "/invitations", CHANGE, "Make one; its code is shown now and never again", _R.invite,
    body=Inviting, reply=Code,
)  # fmt: skip
REVOKE_INVITATION = endpoint(
    "DELETE", OVERLAY + "/invitations/{id}", CHANGE, "Take it back, with all who joined by it", _R.revoke_invitation,
    reply=wire.Success,
)  # fmt: skip
REVOKE = endpoint(
    "POST", OVERLAY + "/revocations", CHANGE, "Take back one member", _R.revoke, body=words.Revocation, reply=wire.Success
)  # fmt: skip
NETCHECK = endpoint(
    "POST", OVERLAY + "/netcheck", CHANGE, "Look what is between this gateway and the network", _R.netcheck, reply=NetReport
)  # fmt: skip
FOLLOW = Channel(
    path="/ws/overlay/{name}", right=SEE, summary="How it does, live", opener=_R.follow, frame=OverlayState, tells_all=True,
)  # fmt: skip

ROWS: Rows = (
    LIST, FOUND, JOIN, GET, LEAVE, SETUP, TUNE, LINKS, LINK, RECEIVED, FORGET, INVITATIONS, INVITE, REVOKE_INVITATION, REVOKE,
    NETCHECK, FOLLOW,
)  # fmt: skip
