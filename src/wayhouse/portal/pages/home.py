"""The first page: all apps with their state, and how the machine does. `/live` feeds the numbers that move."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from wayhouse.access.policy import Right
from wayhouse.host.service import Host
from wayhouse.ledger.model import Change
from wayhouse.ledger.service import Ledger
from wayhouse.overlay.service import Overlays
from wayhouse.portal import example
from wayhouse.portal.apps import AppList, AppRow, Phase, doing
from wayhouse.portal.meters import Strip, strip_of
from wayhouse.portal.model import Answer, Page, Visit, page_number, plain_json
from wayhouse.portal.pages.overlays import line_of
from wayhouse.portal.row_texts import RowTexts
from wayhouse.portal.templates import Templates
from wayhouse.portal.troubles import Troubles
from wayhouse.portal.usage import Meters

PER_PAGE = 50
RECENT = 5


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the list. `arriving` are changes that install apps which are not there yet. `stamp` changes when other
    rows belong on the page."""

    rows: list[AppRow]
    arriving: list[tuple[Change, str]]
    counts: dict[str, int]
    total: int
    found: int
    query: str
    phase: str
    number: int
    pages: int
    stamp: str


class HomePages:
    def __init__(
        self,
        apps: AppList,
        meters: Meters,
        ledger: Ledger,
        host: Host,
        troubles: Troubles,
        templates: Templates,
        overlays: Overlays | None = None,
    ) -> None:
        self._apps = apps
        self._meters = meters
        self._ledger = ledger
        self._host = host
        self._troubles = troubles
        self._templates = templates
        self._overlays = overlays
        self._row_text = RowTexts(templates)

    def pages(self) -> list[Page]:
        return [
            Page("GET", "/", Right.SEE_CHUTES, self.home),
            Page("GET", "/list", Right.SEE_CHUTES, self.list),
            Page("GET", "/live", Right.SEE_CHUTES, self.live),
            Page("GET", "/troubles", Right.SEE_DEVICES, self.troubles),
        ]

    async def home(self, visit: Visit) -> Answer:
        return self._templates.page(
            "home.html",
            visit,
            listing=await self._listing(visit),
            row_text=self._row_text,
            strip=await self._strip(),
            troubles=self._troubles.of(visit),
            recent=self._ledger.history(limit=RECENT) if visit.sees_changes else [],
            has_example=example.folder() is not None,
            **line_of(self._overlays, visit),
        )

    async def list(self, visit: Visit) -> Answer:
        """The list alone, for htmx."""
        return self._templates.page(
            "_list.html",
            visit,
            listing=await self._listing(visit),
            row_text=self._row_text,
            has_example=example.folder() is not None,
        )

    async def troubles(self, visit: Visit) -> Answer:
        """Devices and scenarios that need attention, for htmx."""
        return self._templates.page("_troubles.html", visit, troubles=self._troubles.of(visit))

    async def live(self, visit: Visit) -> Answer:
        """What moves, as JSON: the load of the apps on this page of the list, and the machine's."""
        listing = await self._listing(visit)
        await self._meters.read(row.name for row in listing.rows if row.desired == "running")
        rows = await self._apps.rows((row.name for row in listing.rows), visit)
        return plain_json(
            {
                "stamp": listing.stamp,
                "busy": bool(listing.arriving) or listing.counts[Phase.BUSY] > 0,
                "apps": [moving(row) for row in rows],
                "machine": await self._strip(),
            }
        )

    async def _listing(self, visit: Visit) -> Listing:
        query = visit.query.get("q", "").strip()[:100]
        phase = visit.query.get("state", "")
        phases = await self._apps.phases()
        names = self._apps.named(query) if query else phases.keys()
        found = [name for name in phases if name in names and phase in {"", phases[name][0].value}]
        pages = max(1, -(-len(found) // PER_PAGE))
        number = min(page_number(visit.query.get("page")), pages)
        shown = found[(number - 1) * PER_PAGE : number * PER_PAGE]
        arriving = [
            (change, doing(change))
            for name, change in self._apps.open_changes().items()
            if name not in phases and change.wish.kind in {"chute.create", "chute.update"}
        ]
        ids = [change.id for change, _ in arriving]
        return Listing(
            rows=await self._apps.rows(shown, visit),
            arriving=arriving,
            counts={one.value: sum(1 for found, _ in phases.values() if found is one) for one in Phase},
            total=len(phases),
            found=len(found),
            query=query,
            phase=phase if phase in set(Phase) else "",
            number=number,
            pages=pages,
            stamp=f"{zlib.crc32(repr((shown, ids, len(found), pages)).encode()):x}",
        )

    async def _strip(self) -> Strip:
        software = await self._host.software()
        return strip_of(await self._host.status(), software.uptime)


def moving(row: AppRow) -> dict[str, Any]:
    return {"name": row.name, "stamp": row.stamp, "cpu": row.load.cpu, "memory": row.load.memory}
