"""One peer of an overlay: its path and why it is as it is, what was tried, how it may be linked, the networks behind it; forget it, take it back."""

from __future__ import annotations

from wayhouse.access.policy import Right
from wayhouse.api.resources.overlays import one_link
from wayhouse.base.errors import WayhouseError
from wayhouse.overlay.model import PathPolicy
from wayhouse.overlay.orders import Tuning
from wayhouse.overlay.views import LinkView
from wayhouse.portal import overlay_forms as forms
from wayhouse.portal.model import Answer, Page, Visit, overlay_path, redirect
from wayhouse.portal.overlay_area import EXPECTED, OVERLAY, OverlayArea
from wayhouse.portal.overlay_rows import NATS, POLICIES, peer_row, peer_rows, row_of
from wayhouse.portal.pages.overlay import network_rows

PEER = OVERLAY + "/peers/{peer}"
PAIRS = 100
"""That are shown of those that were tried."""
PAIR_STATES = {
    "succeeded": ("running", "Works"),
    "failed": ("stopped", "No answer"),
    "in-progress": ("busy", "Being tried"),
    "waiting": ("stopped", "Waits"),
}


class OverlayPeerPages(OverlayArea):
    def pages(self) -> list[Page]:
        see, change = Right.SEE_OVERLAYS, Right.CHANGE_OVERLAYS
        return [
            Page("GET", PEER, see, self.overview),
            Page("GET", PEER + "/now", see, self.now),
            Page("POST", PEER + "/policy", change, self.set_policy, is_audited=True),
            Page("POST", PEER + "/forget", change, self.forget, is_audited=True),
            Page("POST", PEER + "/revoke", change, self.revoke, is_audited=True),
        ]

    async def overview(self, visit: Visit) -> Answer:
        return self._page(visit, "overlay_peer.html")

    async def now(self, visit: Visit) -> Answer:
        """What moves, for htmx."""
        return self._page(visit, "_overlay_peer_now.html")

    async def set_policy(self, visit: Visit) -> Answer:
        name, link = visit.path["overlay"], self._link(visit)
        try:
            wish = Tuning(peer_policies={link.uid: forms.peer_policy(visit)})
            await self._overlays.tune(name, wish)
        except EXPECTED as error:
            return self._page(visit, "overlay_peer.html", error)
        return redirect(overlay_path(name, f"/peers/{link.uid}?done=policy"))

    async def forget(self, visit: Visit) -> Answer:
        name, link = visit.path["overlay"], self._link(visit)
        if visit.field("sure") != "yes":
            text = (
                "Its certificate is forgotten, and the next one that it shows is trusted. Do this only if you know why the peer has "
                "another one, as after it was set up anew."
            )
            peer = peer_row(name, link)
            return self._sure(visit, peer.label, "Forget", text, peer.path)
        await self._overlays.forget(name, link.uid)
        return redirect(overlay_path(name, "?done=forgotten"))

    async def revoke(self, visit: Visit) -> Answer:
        name, link = visit.path["overlay"], self._link(visit)
        if visit.field("sure") != "yes":
            text = "It is a member no more: every gateway of the overlay ends its link to it as soon as it hears so. This cannot be undone."
            peer = peer_row(name, link)
            return self._sure(visit, peer.label, "Take back", text, peer.path)
        try:
            await self._overlays.revoke(name, uid=link.uid)
        except EXPECTED as error:
            return self._page(visit, "overlay_peer.html", error)
        return redirect(overlay_path(name, "?done=revoked"))

    def _link(self, visit: Visit) -> LinkView:
        return one_link(self._overlays.links(visit.path["overlay"]), visit.path["peer"])

    def _page(self, visit: Visit, template: str, error: WayhouseError | None = None) -> Answer:
        name, link = visit.path["overlay"], self._link(visit)
        state = self._overlays.state(name)
        policies = self._overlays.setup(name).peer_policies
        own = tuple(one for one in state.subnets if one.uid == link.uid)
        chosen: PathPolicy | None = policies.get(link.uid)
        return self._show(
            visit,
            template,
            error,
            row=row_of(state.overlay),
            peer=peer_row(name, link),
            pairs=link.pairs[:PAIRS],
            pair_states=PAIR_STATES,
            nats=NATS,
            policies=POLICIES,
            chosen=chosen,
            networks=network_rows(own, peer_rows(name, (link,))),
        )
