"""Changes: what is going on and what was, the steps of one of them, and taking a waiting one back."""

from __future__ import annotations

from typing import Any

from wayhouse.access.policy import Right, demand
from wayhouse.api.actors import actor_of
from wayhouse.api.resources.chutes import chute_view
from wayhouse.base.errors import BadInputError
from wayhouse.chutes.service import Chutes
from wayhouse.ledger.model import Change, Line, State
from wayhouse.ledger.service import Ledger
from wayhouse.portal.apps import open_url
from wayhouse.portal.model import Answer, Page, Visit, redirect
from wayhouse.portal.templates import Templates

PER_PAGE = 50


class ChangePages:
    def __init__(self, ledger: Ledger, chutes: Chutes, templates: Templates) -> None:
        self._ledger = ledger
        self._chutes = chutes
        self._templates = templates

    def pages(self) -> list[Page]:
        see = Right.SEE_CHANGES
        return [
            Page("GET", "/changes", see, self.index),
            Page("GET", "/changes/{id}", see, self.one),
            Page("GET", "/changes/{id}/head", see, self.head),
            Page("POST", "/changes/{id}/cancel", see, self.cancel, is_audited=True),
        ]

    async def index(self, visit: Visit) -> Answer:
        before = visit.query.get("before")
        older = _id(before) if before is not None else None
        under_way = self._ledger.open_changes()
        found = self._ledger.history(limit=PER_PAGE + len(under_way) + 1, before=older)
        ended = [change for change in found if change.state.is_over]
        return self._templates.page(
            "changes.html",
            visit,
            under_way=[(one, self._may_cancel(visit, one)) for one in under_way],
            ended=ended[:PER_PAGE],
            next_before=ended[PER_PAGE - 1].id if len(ended) > PER_PAGE else None,
            is_first=older is None,
        )

    async def one(self, visit: Visit) -> Answer:
        """The steps of a change that is over are in the page; those of another come as they happen."""
        change = self._ledger.get(_id(visit.path["id"]))
        lines = await self._lines(change) if change.state.is_over else []
        return self._templates.page("change.html", visit, lines=lines, **self._facts(visit, change))

    async def head(self, visit: Visit) -> Answer:
        change = self._ledger.get(_id(visit.path["id"]))
        return self._templates.page("_change_head.html", visit, **self._facts(visit, change))

    async def cancel(self, visit: Visit) -> Answer:
        change = self._ledger.get(_id(visit.path["id"]))
        self._demand_may_cancel(visit, change)
        await self._ledger.cancel(change.id, actor_of(visit.who))
        return redirect(f"/changes/{change.id}")

    async def _lines(self, change: Change) -> list[Line]:
        lines: list[Line] = []
        async for batch in self._ledger.watch(change.id):
            lines.extend(entry.line for entry in batch)
        return lines

    def _facts(self, visit: Visit, change: Change) -> dict[str, Any]:
        chute = self._chutes.find(change.wish.name) if change.wish.resource.startswith("chute/") else None
        is_up = chute is not None and chute.desired == "running" and change.state is State.SUCCEEDED
        view = chute_view(chute, {}, with_environment=False) if chute is not None and is_up else None
        return {
            "change": change,
            "is_installed": chute is not None,
            "open_url": open_url(view.web, visit.host) if view is not None else None,
            "may_cancel": self._may_cancel(visit, change),
        }

    def _may_cancel(self, visit: Visit, change: Change) -> bool:
        if change.state is not State.QUEUED:
            return False
        right, name, owner = self._right_of(change)
        return visit.may(right, name, owner)

    def _demand_may_cancel(self, visit: Visit, change: Change) -> None:
        right, name, owner = self._right_of(change)
        demand(right, visit.identity, chute=name, chute_owner=owner)

    def _right_of(self, change: Change) -> tuple[Right, str | None, tuple[str, str] | None]:
        if not change.wish.resource.startswith("chute/"):
            return Right.ADMINISTER, None, None
        chute = self._chutes.find(change.wish.name)
        owner = (chute.owner.name, chute.owner.domain) if chute is not None else None
        return Right.CHANGE_CHUTE, change.wish.name, owner


def _id(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise BadInputError(f"`{text[:20]}` is no number of a change.")
    return int(text)
