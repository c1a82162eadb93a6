"""How an overlay is set up here: this gateway's name in it, how links are sought, accounts, servers and relays, networks that it offers.

Rule: of accounts and relays only the names are ever shown; to change one it is written anew, with its password.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wayhouse.access.policy import Right
from wayhouse.base.errors import BadInputError, ConflictError, UnavailableError, WayhouseError
from wayhouse.overlay.orders import Tuning
from wayhouse.portal import overlay_forms as forms
from wayhouse.portal.model import Answer, Page, Visit, overlay_path, redirect
from wayhouse.portal.overlay_rows import POLICIES, row_of
from wayhouse.portal.pages.overlays import OVERLAY, given
from wayhouse.portal.templates import Templates

if TYPE_CHECKING:
    from wayhouse.overlay.service import Overlays

SETUP = OVERLAY + "/setup"
FORMS = ("setup", "account", "relay")
EXPECTED = (BadInputError, ConflictError, UnavailableError)


class OverlaySetupPages:
    def __init__(self, overlays: Overlays, templates: Templates) -> None:
        self._overlays = overlays
        self._templates = templates

    def pages(self) -> list[Page]:
        change = Right.CHANGE_OVERLAYS
        return [
            Page("GET", SETUP, change, self.index),
            Page("POST", SETUP, change, self.tune, is_audited=True),
            Page("POST", SETUP + "/accounts", change, self.set_account, is_audited=True),
            Page("POST", SETUP + "/relays", change, self.set_relay, is_audited=True),
        ]

    async def index(self, visit: Visit) -> Answer:
        return self._page(visit)

    async def tune(self, visit: Visit) -> Answer:
        return await self._change(visit, "setup", forms.tuning)

    async def set_account(self, visit: Visit) -> Answer:
        """Instead of those that are there; `none`: no account at all."""
        return await self._change(visit, "account", _account)

    async def set_relay(self, visit: Visit) -> Answer:
        """Instead of those that are there; `none`: no relay at all."""
        return await self._change(visit, "relay", _relay)

    async def _change(self, visit: Visit, what: str, read: Callable[[Visit], Tuning]) -> Answer:
        name = visit.path["overlay"]
        try:
            await self._overlays.tune(name, read(visit))
        except EXPECTED as error:
            return self._page(visit, error, what)
        return redirect(overlay_path(name, f"/setup?done={what}"))

    def _page(self, visit: Visit, error: WayhouseError | None = None, faulty: str = "") -> Answer:
        name = visit.path["overlay"]
        setup, view = self._overlays.setup(name), self._overlays.state(name).overlay
        typed = {key: visit.field(key) for key in ("dns_name", "stun", "offered_subnets")}
        return self._templates.page(
            "overlay_setup.html",
            visit,
            status=error.status if error else 200,
            row=row_of(view),
            setup=setup,
            policies=POLICIES,
            transports=forms.TRANSPORTS,
            typed=typed if faulty == "setup" else {},
            given=given(visit),
            faults={**dict.fromkeys(FORMS, ""), **({faulty: error.message} if error else {})},
            done=visit.query.get("done", ""),
        )


def _account(visit: Visit) -> Tuning:
    found = () if visit.field("none") == "yes" else forms.accounts(visit)
    if not found and visit.field("none") != "yes":
        raise BadInputError("Name the account: name@server.", path="jid")
    return Tuning(accounts=found)


def _relay(visit: Visit) -> Tuning:
    found = () if visit.field("none") == "yes" else forms.relays(visit)
    if not found and visit.field("none") != "yes":
        raise BadInputError("Name the relay's host.", path="turn_host")
    return Tuning(turn=found)
