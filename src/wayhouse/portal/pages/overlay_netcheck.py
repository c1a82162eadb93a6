"""What is between this gateway and the network, looked at when asked: which NAT, UDP or not, how far the servers are, and what that means."""

from __future__ import annotations

from wayhouse.access.policy import Right
from wayhouse.base.errors import UnavailableError, WayhouseError
from wayhouse.overlay.netcheck import NetReport
from wayhouse.portal.model import Answer, Page, Visit
from wayhouse.portal.overlay_area import OVERLAY, OverlayArea
from wayhouse.portal.overlay_rows import FILTERS, MAPPINGS, NATS, row_of

NETCHECK = OVERLAY + "/netcheck"


class OverlayNetcheckPages(OverlayArea):
    def pages(self) -> list[Page]:
        change = Right.CHANGE_OVERLAYS
        return [
            Page("GET", NETCHECK, change, self.form),
            Page("POST", NETCHECK, change, self.check, is_audited=True),
        ]

    async def form(self, visit: Visit) -> Answer:
        return self._page(visit)

    async def check(self, visit: Visit) -> Answer:
        try:
            return self._page(visit, await self._overlays.netcheck(visit.path["overlay"]))
        except UnavailableError as error:
            return self._page(visit, error=error)

    def _page(
        self, visit: Visit, report: NetReport | None = None, error: WayhouseError | None = None
    ) -> Answer:
        view = self._overlays.state(visit.path["overlay"]).overlay
        return self._show(
            visit,
            "overlay_netcheck.html",
            error,
            row=row_of(view),
            report=report,
            nats=NATS,
            mappings=MAPPINGS,
            filters=FILTERS,
        )
