"""All overlays: how each does, founding one, joining one by an invitation; and the line about them on the first page.

Rule: an invitation lets its holder in, so what was pasted is never shown again, not even when it could not be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wayhouse.access.policy import Right
from wayhouse.base.errors import WayhouseError
from wayhouse.portal import overlay_forms as forms
from wayhouse.portal.model import Answer, Page, Visit, overlay_path, redirect
from wayhouse.portal.overlay_area import EXPECTED, OverlayArea
from wayhouse.portal.overlay_rows import OverlayRow, home_line, row_of

if TYPE_CHECKING:
    from wayhouse.overlay.service import Overlays

KEPT = (
    "name", "kind", "dns_name", "subnet", "stun", "jid", "host", "port", "tls", "pin", "friends", "turn_host", "turn_port",
    "turn_transport", "turn_user",
)  # fmt: skip
"""What a form that was refused still says when it is shown again: no codes and no passwords."""
TICKS = ("is_on_lan", "invites")


class OverlayListPages(OverlayArea):
    def pages(self) -> list[Page]:
        see, change = Right.SEE_OVERLAYS, Right.CHANGE_OVERLAYS
        return [
            Page("GET", "/overlay", see, self.index),
            Page("GET", "/overlay-now", see, self.now),
            Page("GET", "/overlay-line", see, self.line),
            Page("GET", "/overlay-create", change, self.create_form),
            Page("POST", "/overlay-create", change, self.create, is_audited=True),
            Page("GET", "/overlay-join", change, self.join_form),
            Page("POST", "/overlay-join", change, self.join, is_audited=True),
        ]

    async def index(self, visit: Visit) -> Answer:
        return self._list(visit, "overlays.html")

    async def now(self, visit: Visit) -> Answer:
        """What moves, for htmx."""
        return self._list(visit, "_overlays_now.html")

    async def line(self, visit: Visit) -> Answer:
        """For the first page, for htmx."""
        return self._templates.page("_overlay_line.html", visit, **line_of(self._overlays, visit))

    async def create_form(self, visit: Visit) -> Answer:
        return self._form(visit, "overlay_create.html")

    async def create(self, visit: Visit) -> Answer:
        try:
            view = await self._overlays.found(forms.founding(visit))
        except EXPECTED as error:
            return self._form(visit, "overlay_create.html", error)
        return redirect(overlay_path(view.name, "?done=created"))

    async def join_form(self, visit: Visit) -> Answer:
        return self._form(visit, "overlay_join.html")

    async def join(self, visit: Visit) -> Answer:
        try:
            view = await self._overlays.join(forms.joining(visit))
        except EXPECTED as error:
            return self._form(visit, "overlay_join.html", error)
        return redirect(overlay_path(view.name, "?done=joined"))

    def _list(self, visit: Visit, template: str) -> Answer:
        return self._show(visit, template, rows=rows_of(self._overlays))

    def _form(self, visit: Visit, template: str, error: WayhouseError | None = None) -> Answer:
        return self._show(
            visit,
            template,
            error,
            given=given(visit),
            is_fresh=error is None,
            transports=forms.TRANSPORTS,
        )


def rows_of(overlays: Overlays) -> list[OverlayRow]:
    return [row_of(view) for view in overlays.list()]


def line_of(overlays: Overlays | None, visit: Visit) -> dict[str, Any]:
    """What `_overlay_line.html` needs; an empty line for who may not see overlays, and where there are none."""
    if overlays is None or not visit.sees_overlays:
        return {"overlay_line": "", "overlay_troubles": []}
    rows = rows_of(overlays)
    return {
        "overlay_line": home_line([row.view for row in rows]),
        "overlay_troubles": [row for row in rows if row.has_trouble],
    }


def given(visit: Visit) -> dict[str, str]:
    """What was typed, but for secrets."""
    values = {name: visit.field(name)[:500] for name in KEPT}
    return {**values, **{name: visit.field(name) for name in TICKS}}
