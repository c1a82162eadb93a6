"""How an overlay is set up here: this gateway's name in it, how links are sought, accounts, servers and relays, networks that it offers.

Rule: of accounts and relays only the names are ever shown; to change one it is written anew, with its password.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from wayhouse.access.policy import Right
from wayhouse.base.errors import BadInputError, WayhouseError
from wayhouse.overlay.orders import Tuning
from wayhouse.overlay.relay_authority import fingerprints
from wayhouse.portal import overlay_forms as forms
from wayhouse.portal.model import Answer, Page, Visit, overlay_path, redirect
from wayhouse.portal.overlay_area import EXPECTED, OVERLAY, OverlayArea
from wayhouse.portal.overlay_rows import POLICIES, row_of
from wayhouse.portal.pages.overlays import given

SETUP = OVERLAY + "/setup"
FORMS = ("setup", "account", "relay", "authority")


class OverlaySetupPages(OverlayArea):
    def pages(self) -> list[Page]:
        change = Right.CHANGE_OVERLAYS
        return [
            Page("GET", SETUP, change, self.index),
            Page("POST", SETUP, change, self.tune, is_audited=True),
            Page("POST", SETUP + "/accounts", change, self.set_account, is_audited=True),
            Page("POST", SETUP + "/relays", change, self.set_relay, is_audited=True),
            Page("POST", SETUP + "/relay-ca", change, self.set_authority, is_audited=True),
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

    async def set_authority(self, visit: Visit) -> Answer:
        """Who signs relays' certificates, instead of who was named; `none`: nobody but those whom this machine trusts."""
        return await self._change(visit, "authority", _authority)

    async def _change(self, visit: Visit, what: str, read: Callable[[Visit], Tuning]) -> Answer:
        name = visit.path["overlay"]
        try:
            wish = msgspec.structs.replace(read(visit), if_revision=forms.revision(visit))
            await self._overlays.tune(name, wish)
        except EXPECTED as error:
            return self._page(visit, error, what)
        return redirect(overlay_path(name, f"/setup?done={what}"))

    def _page(self, visit: Visit, error: WayhouseError | None = None, faulty: str = "") -> Answer:
        name = visit.path["overlay"]
        setup, view = self._overlays.setup(name), self._overlays.state(name).overlay
        typed = {key: visit.field(key) for key in ("dns_name", "stun", "offered_subnets")}
        return self._show(
            visit,
            "overlay_setup.html",
            error,
            row=row_of(view),
            setup=setup,
            authorities=fingerprints(setup.relay_ca),
            policies=POLICIES,
            transports=forms.TRANSPORTS,
            typed=typed if faulty == "setup" else {},
            given=given(visit),
            faults={**dict.fromkeys(FORMS, ""), **({faulty: error.message} if error else {})},
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


def _authority(visit: Visit) -> Tuning:
    pem = visit.field("relay_ca").strip()
    if not pem and visit.field("none") != "yes":
        raise BadInputError("Paste the authority's certificate.", path="relay_ca")
    return Tuning(relay_ca="" if visit.field("none") == "yes" else pem + "\n")
