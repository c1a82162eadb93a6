"""One overlay: the map of its peers, the table beneath with the reason for each link that is relayed or not there, networks behind peers; and leaving."""

from __future__ import annotations

from typing import Any

import msgspec

from wayhouse.access.policy import Right
from wayhouse.base.errors import WayhouseError
from wayhouse.overlay import subnets
from wayhouse.overlay.orders import Tuning
from wayhouse.overlay.subnets import Standing, Subnet, Surroundings
from wayhouse.overlay.views import OverlayState
from wayhouse.portal.model import Answer, Page, Visit, overlay_path, redirect
from wayhouse.portal.overlay_area import EXPECTED, OVERLAY, OverlayArea
from wayhouse.portal.overlay_map import MOST, draw
from wayhouse.portal.overlay_rows import PeerRow, peer_rows, row_of, summary

STANDINGS = {
    Standing.OFFERED: ("stopped", "Offered"),
    Standing.ACTIVE: ("running", "Used"),
    Standing.WITHDRAWN: ("partly", "Not offered any more"),
    Standing.REFUSED: ("failing", "Cannot be used"),
}


class NetworkRow(msgspec.Struct, frozen=True):
    """A network behind a peer. `label` is the peer's name, `path` its page ("" for one that was not heard yet)."""

    subnet: Subnet
    label: str
    path: str
    look: str
    word: str

    @property
    def is_accepted(self) -> bool:
        return self.subnet.standing is not Standing.OFFERED


class OverlayPages(OverlayArea):
    def pages(self) -> list[Page]:
        see, change = Right.SEE_OVERLAYS, Right.CHANGE_OVERLAYS
        return [
            Page("GET", OVERLAY, see, self.overview),
            Page("GET", OVERLAY + "/now", see, self.now),
            Page("POST", OVERLAY + "/networks", change, self.networks, is_audited=True),
            Page("POST", OVERLAY + "/leave", change, self.leave, is_audited=True),
        ]

    async def overview(self, visit: Visit) -> Answer:
        return self._page(visit, "overlay.html")

    async def now(self, visit: Visit) -> Answer:
        """What moves, for htmx."""
        return self._page(visit, "_overlay_now.html")

    async def networks(self, visit: Visit) -> Answer:
        """Use a network behind a peer, or use it no more."""
        name = visit.path["overlay"]
        state, setup = self._overlays.state(name), self._overlays.setup(name)
        uid, network = visit.field("uid"), visit.field("network")
        try:
            if visit.field("do") == "accept":
                offers = {one.uid: one.offered_subnets for one in state.links}
                changed = subnets.accept(uid, network, offers, setup.accepted_subnets, Surroundings({}))
            else:
                changed = subnets.take_back(uid, network, setup.accepted_subnets)
            await self._overlays.tune(name, Tuning(accepted_subnets=changed, if_revision=setup.revision))
        except EXPECTED as error:
            return self._page(visit, "overlay.html", error)
        return redirect(back_of(visit, state))

    async def leave(self, visit: Visit) -> Answer:
        name = self._overlays.setup(visit.path["overlay"]).name
        if visit.field("sure") != "yes":
            text = "Its links end and its keys are forgotten: only a new invitation leads back."
            return self._sure(visit, name, "Leave", text, overlay_path(name))
        await self._overlays.leave(name)
        return redirect("/overlay?done=left")

    def _page(self, visit: Visit, template: str, error: WayhouseError | None = None) -> Answer:
        state = self._overlays.state(visit.path["overlay"])
        return self._show(visit, template, error, **self._facts(state))

    def _facts(self, state: OverlayState) -> dict[str, Any]:
        view, peers = state.overlay, peer_rows(state.overlay.name, state.links)
        return {
            "row": row_of(view),
            "peers": peers,
            "map": draw(view.dns_name.partition(".")[0] or view.name, peers) if peers else "",
            "is_crowded": len(peers) > MOST,
            "summary": summary(peers),
            "networks": network_rows(state.subnets, peers),
        }


def network_rows(found: tuple[Subnet, ...], peers: list[PeerRow]) -> list[NetworkRow]:
    by_uid = {row.view.uid: row for row in peers}
    rows = []
    for one in found:
        peer = by_uid.get(one.uid)
        look, word = STANDINGS[one.standing]
        rows.append(
            NetworkRow(one, peer.label if peer else one.uid[:8], peer.path if peer else "", look, word)
        )
    return rows


def back_of(visit: Visit, state: OverlayState) -> str:
    """Where a form about a network was: on the peer's page, on that of what is shared, or on the overlay's."""
    name, uid = state.overlay.name, visit.field("uid")
    if visit.field("view") == "sharing":
        return overlay_path(name, "/sharing?done=networks")
    is_peer = visit.field("view") == "peer" and any(one.uid == uid for one in state.links)
    return overlay_path(name, f"/peers/{uid}?done=networks" if is_peer else "?done=networks")
