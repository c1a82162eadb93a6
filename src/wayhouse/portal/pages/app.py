"""The pages of one app: overview, log and changes; and what its buttons do, here and on the home page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from wayhouse.access.policy import Right
from wayhouse.api.actors import actor_of
from wayhouse.chutes.service import Chutes
from wayhouse.ledger.model import Actor, Change
from wayhouse.ledger.service import Ledger
from wayhouse.portal.apps import AppList
from wayhouse.portal.model import Answer, Page, Visit, app_path, plain_json, redirect
from wayhouse.portal.pages.home import moving
from wayhouse.portal.templates import Templates
from wayhouse.portal.usage import Meters

APP = "/apps/{name}"
LINES = 200
ALL_LINES = 5000
CHANGES = 50

Verb = Callable[[str, Actor], Awaitable[Change]]


class AppPages:
    def __init__(
        self, apps: AppList, meters: Meters, chutes: Chutes, ledger: Ledger, templates: Templates
    ) -> None:
        self._apps = apps
        self._meters = meters
        self._chutes = chutes
        self._ledger = ledger
        self._templates = templates

    def pages(self) -> list[Page]:
        use, change = Right.USE_CHUTE, Right.CHANGE_CHUTE
        return [
            Page("GET", APP, use, self.overview),
            Page("GET", APP + "/row", Right.SEE_CHUTES, self.row),
            Page("GET", APP + "/head", use, self.head),
            Page("GET", APP + "/live", use, self.live),
            Page("GET", APP + "/logs", use, self.logs),
            Page("GET", APP + "/log.txt", use, self.log_file),
            Page("GET", APP + "/changes", use, self.changes),
            Page("POST", APP + "/start", use, self.start, is_audited=True),
            Page("POST", APP + "/stop", use, self.stop, is_audited=True),
            Page("POST", APP + "/restart", use, self.restart, is_audited=True),
            Page("POST", APP + "/remove", change, self.remove, is_audited=True),
        ]

    async def overview(self, visit: Visit) -> Answer:
        chute = self._chutes.get(visit.path["name"])
        changes = self._changes(visit, 5)
        return await self._page("app_overview.html", visit, chute=chute, changes=changes)

    async def row(self, visit: Visit) -> Answer:
        """The app as one line of the home page, for htmx."""
        app = await self._apps.one(visit.path["name"], visit)
        return self._templates.page("_row.html", visit, app=app)

    async def head(self, visit: Visit) -> Answer:
        """Name, state and buttons at the top of the app's pages, for htmx."""
        return await self._page("_app_head.html", visit)

    async def live(self, visit: Visit) -> Answer:
        name = visit.path["name"]
        await self._meters.read([name])
        app = await self._apps.one(name, visit)
        return plain_json({"stamp": "", "busy": app.busy_with is not None, "apps": [moving(app)]})

    async def logs(self, visit: Visit) -> Answer:
        lines = await self._chutes.logs.history(visit.path["name"], tail=LINES)
        return await self._page("app_logs.html", visit, lines=lines)

    async def log_file(self, visit: Visit) -> Answer:
        name = visit.path["name"]
        lines = await self._chutes.logs.history(name, tail=ALL_LINES)
        text = "".join(f"{line.timestamp} {line.service}: {line.message}\n" for line in lines)
        disposition = ("content-disposition", f'attachment; filename="{name}.log.txt"')
        return Answer(text.encode("utf-8", "replace"), 200, "text/plain; charset=utf-8", (disposition,))

    async def changes(self, visit: Visit) -> Answer:
        self._chutes.get(visit.path["name"])
        return await self._page("app_changes.html", visit, changes=self._changes(visit, CHANGES))

    async def start(self, visit: Visit) -> Answer:
        return await self._do(visit, self._chutes.start)

    async def stop(self, visit: Visit) -> Answer:
        return await self._do(visit, self._chutes.stop)

    async def restart(self, visit: Visit) -> Answer:
        return await self._do(visit, self._chutes.restart)

    async def remove(self, visit: Visit) -> Answer:
        """Asks first: the page's script sends `sure` after its dialog, without scripts a page asks."""
        if visit.field("sure") != "yes":
            app = await self._apps.one(visit.path["name"], visit)
            return self._templates.page("sure.html", visit, app=app)
        return await self._do(visit, self._chutes.delete)

    async def _do(self, visit: Visit, verb: Verb) -> Answer:
        """Ask for the change; then the row or the head again (htmx), or the change's own page."""
        name = visit.path["name"]
        self._chutes.get(name)
        change = await verb(name, actor_of(visit.who))
        if not visit.is_part:
            return redirect(f"/changes/{change.id}" if visit.sees_changes else app_path(name))
        if self._chutes.find(name) is None:
            return Answer(b"", 200, headers=(("hx-redirect", "/"),))
        return await (self.head(visit) if visit.field("view") == "page" else self.row(visit))

    def _changes(self, visit: Visit, limit: int) -> list[Change]:
        if not visit.sees_changes:
            return []
        return self._ledger.history(limit=limit, resource=f"chute/{visit.path['name']}")

    async def _page(self, template: str, visit: Visit, **values: Any) -> Answer:
        app = await self._apps.one(visit.path["name"], visit)
        return self._templates.page(template, visit, app=app, **values)
