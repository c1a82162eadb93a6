"""Who may reach what on this gateway over an overlay: its rules, in the order in which they count, each as a sentence."""

from __future__ import annotations

from wayhouse.access.policy import Right
from wayhouse.base.errors import BadInputError, ConflictError, WayhouseError
from wayhouse.overlay.orders import Tuning
from wayhouse.overlay.policy import Rule
from wayhouse.portal import overlay_forms as forms
from wayhouse.portal.model import Answer, Page, Visit, overlay_path, redirect
from wayhouse.portal.overlay_area import EXPECTED, OVERLAY, OverlayArea
from wayhouse.portal.overlay_rows import row_of
from wayhouse.portal.overlay_rules import choices, sentence, stamp

RULES = OVERLAY + "/rules"
GIVEN = ("from", "tag", "action", "protocol", "ports", "networks", "note", "place")


class OverlayRulePages(OverlayArea):
    def pages(self) -> list[Page]:
        change = Right.CHANGE_OVERLAYS
        return [
            Page("GET", RULES, change, self.index),
            Page("POST", RULES, change, self.add, is_audited=True),
            Page("POST", RULES + "/remove", change, self.remove, is_audited=True),
        ]

    async def index(self, visit: Visit) -> Answer:
        return self._page(visit)

    async def add(self, visit: Visit) -> Answer:
        """As the first or the last: the first that fits counts."""
        name = visit.path["overlay"]
        try:
            rule, setup = forms.rule(visit), self._overlays.setup(name)
            is_first = visit.field("place") == "first"
            changed = (rule, *setup.rules) if is_first else (*setup.rules, rule)
            await self._overlays.tune(name, Tuning(rules=changed, if_revision=setup.revision))
        except EXPECTED as error:
            return self._page(visit, error)
        return redirect(overlay_path(name, "/rules?done=added"))

    async def remove(self, visit: Visit) -> Answer:
        name = visit.path["overlay"]
        try:
            setup = self._overlays.setup(name)
            rules = setup.rules
            place = _place(visit, rules)
            left = rules[:place] + rules[place + 1 :]
            await self._overlays.tune(name, Tuning(rules=left, if_revision=setup.revision))
        except EXPECTED as error:
            return self._page(visit, error)
        return redirect(overlay_path(name, "/rules?done=removed"))

    def _page(self, visit: Visit, error: WayhouseError | None = None) -> Answer:
        name = visit.path["overlay"]
        setup, state = self._overlays.setup(name), self._overlays.state(name)
        names = {one.uid: one.name for one in state.links}
        issued = [tag for one in self._overlays.invitations(name) for tag in one.tags]
        tags = [*issued, *(tag for one in state.links for tag in one.tags)]
        return self._show(
            visit,
            "overlay_rules.html",
            error,
            row=row_of(state.overlay),
            rules=[(rule, sentence(rule, setup.uid, names)) for rule in setup.rules],
            stamp=stamp(setup.rules),
            choices=choices(names, tags),
            given={key: visit.field(key) for key in GIVEN},
        )


def _place(visit: Visit, rules: tuple[Rule, ...]) -> int:
    """Raises `BadInputError`, and `ConflictError` when the rules are others than those that were seen."""
    text = visit.field("rule")
    place = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
    if visit.field("stamp") != stamp(rules):
        raise ConflictError("The rules were changed meanwhile. Look at them again; nothing was removed.")
    if not 0 <= place < len(rules):
        raise BadInputError("There is no such rule.", path="rule")
    return place
