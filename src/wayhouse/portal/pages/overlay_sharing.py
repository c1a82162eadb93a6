"""What this gateway gives to peers of an overlay, and what they give: devices, apps, services of the bus, networks; and taking it back.

Rule: what is given is what the room's own shares say, checked there; this page only writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from wayhouse.access.policy import Right
from wayhouse.base.errors import NotFoundError, WayhouseError
from wayhouse.bus.service import Bus
from wayhouse.chutes.service import Chutes
from wayhouse.devices.service import Devices
from wayhouse.overlay.orders import Setup, Tuning
from wayhouse.overlay.views import OverlayState, Received
from wayhouse.portal import overlay_forms as forms
from wayhouse.portal import overlay_shares as sharing
from wayhouse.portal.bus_services import everything
from wayhouse.portal.model import Answer, Page, Visit, overlay_path, redirect
from wayhouse.portal.overlay_area import EXPECTED, OVERLAY, OverlayArea
from wayhouse.portal.overlay_rows import peer_rows, row_of
from wayhouse.portal.overlay_rules import choices
from wayhouse.portal.pages.overlay import network_rows
from wayhouse.portal.templates import Templates

if TYPE_CHECKING:
    from wayhouse.overlay.service import Overlays

SHARING = OVERLAY + "/sharing"
GIVEN = ("what", "service", "to", "tag", "may", "port", "network")


class Goods(msgspec.Struct, frozen=True):
    """Where what can be shared is known."""

    devices: Devices
    chutes: Chutes
    bus: Bus
    received: Callable[[str], Sequence[Received]]


class OverlaySharingPages(OverlayArea):
    def __init__(self, overlays: Overlays, goods: Goods, templates: Templates) -> None:
        super().__init__(overlays, templates)
        self._goods = goods

    def pages(self) -> list[Page]:
        change = Right.CHANGE_OVERLAYS
        return [
            Page("GET", SHARING, change, self.index),
            Page("GET", SHARING + "/now", change, self.now),
            Page("POST", SHARING, change, self.give, is_audited=True),
            Page("POST", SHARING + "/remove", change, self.take_back, is_audited=True),
            Page("POST", SHARING + "/networks", change, self.offer, is_audited=True),
        ]

    async def index(self, visit: Visit) -> Answer:
        return await self._page(visit)

    async def now(self, visit: Visit) -> Answer:
        """What peers give, for htmx."""
        state = self._overlays.state(visit.path["overlay"])
        return self._templates.page("_overlay_received_now.html", visit, **self._received(state))

    async def give(self, visit: Visit) -> Answer:
        """To one receiver; what was given to it of the same is replaced."""

        def changed(setup: Setup) -> Tuning:
            one = forms.share(visit)
            others = (each for each in setup.shares if (each.what, each.to) != (one.what, one.to))
            return Tuning(shares=(*others, one))

        return await self._change(visit, changed, "given")

    async def take_back(self, visit: Visit) -> Answer:
        def changed(setup: Setup) -> Tuning:
            gone = (visit.field("what"), visit.field("to"))
            left = tuple(one for one in setup.shares if (one.what, one.to) != gone)
            if len(left) == len(setup.shares):
                raise NotFoundError("This is not shared any more.")
            return Tuning(shares=left)

        return await self._change(visit, changed, "taken")

    async def offer(self, visit: Visit) -> Answer:
        """A network behind this gateway, or it no more."""

        def changed(setup: Setup) -> Tuning:
            network = visit.field("network").strip()
            if visit.field("do") != "withdraw":
                return Tuning(offered_subnets=tuple(dict.fromkeys((*setup.offered_subnets, network))))
            return Tuning(offered_subnets=tuple(one for one in setup.offered_subnets if one != network))

        return await self._change(visit, changed, "networks")

    async def _change(self, visit: Visit, changed: Callable[[Setup], Tuning], done: str) -> Answer:
        name = visit.path["overlay"]
        try:
            setup = self._overlays.setup(name)
            wish = msgspec.structs.replace(changed(setup), if_revision=setup.revision)
            await self._overlays.tune(name, wish)
        except EXPECTED as error:
            return await self._page(visit, error)
        return redirect(overlay_path(name, f"/sharing?done={done}"))

    async def _page(self, visit: Visit, error: WayhouseError | None = None) -> Answer:
        name = visit.path["overlay"]
        setup, state = self._overlays.setup(name), self._overlays.state(name)
        return self._show(
            visit,
            "overlay_sharing.html",
            error,
            setup=setup,
            given={key: visit.field(key) if error else "" for key in GIVEN},
            mays=sharing.MAY_WORDS,
            **await self._given(setup, state),
            **self._received(state),
        )

    async def _given(self, setup: Setup, state: OverlayState) -> dict[str, Any]:
        """What is shared, and what can be, with whom."""
        goods = self._goods
        peers = {one.uid: one.name for one in state.links}
        issued = [tag for one in self._overlays.invitations(setup.name) for tag in one.tags]
        tags = [*issued, *(tag for one in state.links for tag in one.tags)]
        devices, apps = goods.devices.all(), list(goods.chutes.all)
        figures = await goods.bus.figures()
        services = [one.figures.name for one in await everything(goods.bus, figures)]
        return {
            "shares": sharing.share_rows(setup.shares, {one.id: one.name for one in devices}, apps, peers),
            "goods": sharing.choices(devices, services, apps),
            "receivers": choices(peers, tags),
        }

    def _received(self, state: OverlayState) -> dict[str, Any]:
        name = state.overlay.name
        return {
            "row": row_of(state.overlay),
            "received": sharing.received_rows(self._goods.received(name), name),
            "networks": network_rows(state.subnets, peer_rows(name, state.links)),
        }
