"""What pages about overlays have in common: the room behind them, and how a page is shown with what went wrong or was done. Each area in `pages` is one.

Rule: what people can put right is told on the page where they were, with the status of the error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wayhouse.base.errors import (
    BadInputError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
    WayhouseError,
)
from wayhouse.portal.model import Answer, Visit
from wayhouse.portal.templates import Templates

if TYPE_CHECKING:
    from wayhouse.overlay.service import Overlays

OVERLAY = "/overlay/{overlay}"
EXPECTED = (BadInputError, ConflictError, ForbiddenError, NotFoundError, UnavailableError)


class OverlayArea:
    def __init__(self, overlays: Overlays, templates: Templates) -> None:
        self._overlays, self._templates = overlays, templates

    def _show(self, visit: Visit, template: str, error: WayhouseError | None = None, **facts: Any) -> Answer:
        """With `error`, which is told, or what the address says was `done`."""
        return self._templates.page(
            template,
            visit,
            status=error.status if error else 200,
            error=error.message if error else "",
            done=visit.query.get("done", ""),
            **facts,
        )

    def _sure(self, visit: Visit, what: str, verb: str, text: str, back: str) -> Answer:
        """Ask before what cannot be undone, where the browser has not."""
        return self._templates.page(
            "sure_remove.html", visit, what=what, verb=verb, text=text, back=back, here="overlay"
        )
