"""Who may come into an overlay: its invitations. A code is shown once, on the page that answers its making, and is nowhere afterwards."""

from __future__ import annotations

from wayhouse.access.policy import Right
from wayhouse.base.errors import WayhouseError
from wayhouse.overlay.orders import Code
from wayhouse.portal import overlay_forms as forms
from wayhouse.portal.model import Answer, Page, Visit, overlay_path, redirect
from wayhouse.portal.overlay_area import EXPECTED, OVERLAY, OverlayArea
from wayhouse.portal.overlay_rows import row_of

MEMBERS = OVERLAY + "/invitations"


class OverlayMemberPages(OverlayArea):
    def pages(self) -> list[Page]:
        change = Right.CHANGE_OVERLAYS
        return [
            Page("GET", MEMBERS, change, self.index),
            Page("POST", MEMBERS, change, self.invite, is_audited=True),
            Page("POST", MEMBERS + "/{invitation}/revoke", change, self.revoke, is_audited=True),
        ]

    async def index(self, visit: Visit) -> Answer:
        return self._page(visit)

    async def invite(self, visit: Visit) -> Answer:
        try:
            code = await self._overlays.invite(visit.path["overlay"], forms.inviting(visit))
        except EXPECTED as error:
            return self._page(visit, error)
        return self._page(visit, code=code)

    async def revoke(self, visit: Visit) -> Answer:
        name, id_ = self._overlays.setup(visit.path["overlay"]).name, visit.path["invitation"]
        back = overlay_path(name, "/invitations")
        if visit.field("sure") != "yes":
            text = "Nobody can join by it any more, and all who joined by it are members no more. This cannot be undone."
            return self._sure(visit, "the invitation", "Take back", text, back)
        try:
            await self._overlays.revoke(name, invitation_id=id_)
        except EXPECTED as error:
            return self._page(visit, error)
        return redirect(back + "?done=revoked")

    def _page(self, visit: Visit, error: WayhouseError | None = None, *, code: Code | None = None) -> Answer:
        name = visit.path["overlay"]
        view = self._overlays.state(name).overlay
        return self._show(
            visit,
            "overlay_invitations.html",
            error,
            row=row_of(view),
            may_invite=view.kind == "social" or self._overlays.setup(name).is_admin,
            issued=self._overlays.invitations(name),
            validities=forms.VALIDITIES,
            code=code,
            given={key: visit.field(key) if error else "" for key in ("tags", "note")},
        )
