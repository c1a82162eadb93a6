"""The web page as an ASGI application: what the API's table does not know comes here.

A request is matched to a row, its sender identified by the session cookie, the row's right demanded, the origin of
every change checked, and only then the page runs. Errors are pages too. Every answer carries the content policy.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from wayhouse.access.model import Identity
from wayhouse.access.policy import demand
from wayhouse.access.service import Access
from wayhouse.api.http import session_cookie
from wayhouse.api.origin import is_same_origin
from wayhouse.api.resources.devices import Pictures
from wayhouse.api.routes import Routes
from wayhouse.api.wire import VersionView
from wayhouse.automation.cron_service import CronManager
from wayhouse.automation.scenario_service import ScenarioManager
from wayhouse.base.clock import Clock
from wayhouse.base.errors import (
    ForbiddenError,
    MethodNotAllowedError,
    NotFoundError,
    TooManyRequestsError,
    UnauthenticatedError,
    WayhouseError,
)
from wayhouse.bus.service import Bus
from wayhouse.chutes.service import Chutes
from wayhouse.devices.service import Devices
from wayhouse.host.service import Host
from wayhouse.ledger.service import Ledger
from wayhouse.overlay.service import Overlays
from wayhouse.overlay.views import Received
from wayhouse.portal import request
from wayhouse.portal.apps import AppList
from wayhouse.portal.assets import PREFIX, Assets
from wayhouse.portal.model import Answer, Page, Visit, redirect
from wayhouse.portal.pages.account import AccountPages
from wayhouse.portal.pages.app import AppPages
from wayhouse.portal.pages.bus import BusPages
from wayhouse.portal.pages.changes import ChangePages
from wayhouse.portal.pages.configure import ConfigurePages
from wayhouse.portal.pages.device import DevicePages
from wayhouse.portal.pages.device_config import DeviceConfigPages
from wayhouse.portal.pages.devices import DeviceListPages
from wayhouse.portal.pages.door import DoorPages
from wayhouse.portal.pages.home import HomePages
from wayhouse.portal.pages.install import InstallPages
from wayhouse.portal.pages.jobs import JobPages
from wayhouse.portal.pages.overlay import OverlayPages
from wayhouse.portal.pages.overlay_members import OverlayMemberPages
from wayhouse.portal.pages.overlay_netcheck import OverlayNetcheckPages
from wayhouse.portal.pages.overlay_peer import OverlayPeerPages
from wayhouse.portal.pages.overlay_rules import OverlayRulePages
from wayhouse.portal.pages.overlay_setup import OverlaySetupPages
from wayhouse.portal.pages.overlay_sharing import Goods, OverlaySharingPages
from wayhouse.portal.pages.overlays import OverlayListPages
from wayhouse.portal.pages.people import PeoplePages
from wayhouse.portal.pages.reference import ReferencePages
from wayhouse.portal.pages.scenario import ScenarioPages
from wayhouse.portal.pages.scenario_editor import ScenarioEditorPages
from wayhouse.portal.pages.scenarios import ScenarioListPages
from wayhouse.portal.pages.system import SystemPages
from wayhouse.portal.source_names import SourceNames
from wayhouse.portal.templates import Templates
from wayhouse.portal.troubles import Troubles
from wayhouse.portal.usage import Meters

log = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_SAFE_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Area(Protocol):
    """Pages that belong together."""

    def pages(self) -> list[Page]: ...


class Portal:
    """`describe` gives the OpenAPI document, `pictures` a camera's newest picture by the device's id, `session_s` is how long a session lasts, `log_file` the daemon's own log
    (JSON lines), if there is one. Without `overlays` there are no pages about them; `received` is what peers of one share with this gateway."""

    def __init__(  # noqa: PLR0913 - the page shows something of every room
        self,
        *,
        access: Access,
        chutes: Chutes,
        ledger: Ledger,
        host: Host,
        clock: Clock,
        version: VersionView,
        describe: Callable[[], Mapping[str, Any]],
        session_s: int,
        devices: Devices,
        pictures: Pictures,
        crons: CronManager,
        scenarios: ScenarioManager,
        bus: Bus,
        overlays: Overlays | None = None,
        received: Callable[[str], Sequence[Received]] | None = None,
        log_file: Path | None = None,
    ) -> None:
        self._access = access
        self._chutes = chutes
        self._assets = Assets()
        self._templates = Templates(self._assets, clock, version=version, has_overlays=overlays is not None)
        meters = Meters(chutes, clock)
        apps = AppList(chutes, ledger, meters)
        sources = SourceNames(devices, crons)
        areas: tuple[Area, ...] = (
            DoorPages(access, self._templates, session_s),
            HomePages(apps, meters, ledger, host, Troubles(devices, scenarios), self._templates, overlays),
            InstallPages(chutes, self._templates),
            AppPages(apps, meters, chutes, ledger, self._templates),
            ConfigurePages(apps, chutes, self._templates),
            DeviceListPages(devices, self._templates),
            DevicePages(devices, self._templates, pictures),
            DeviceConfigPages(devices, self._templates),
            ScenarioListPages(scenarios, self._templates),
            ScenarioPages(scenarios, sources, self._templates),
            ScenarioEditorPages(scenarios, sources, self._templates),
            JobPages(crons, self._templates),
            BusPages(bus, self._templates),
            ChangePages(ledger, chutes, self._templates),
            SystemPages(host, self._templates, version, log_file),
            AccountPages(access, self._templates, session_s),
            PeoplePages(access, self._templates),
            ReferencePages(self._templates, describe),
            *_overlay_areas(overlays, Goods(devices, chutes, bus, received or _nothing), self._templates),
        )
        self._routes: Routes[Page] = Routes()
        for area in areas:
            for page in area.pages():
                self._routes.add(page.method, page.path, page)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            answer = await self._answer(scope, receive)
            await _send(answer, send, is_head=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers = request.headers_of(scope)
        if scope["path"].startswith(PREFIX) and scope["method"] in {"GET", "HEAD"}:
            found = self._assets.answer(scope["path"], headers.get("accept-encoding", ""))
            if found is not None:
                return found
        token = session_cookie(headers)
        identity = await self._identify(token, request.client_of(scope))
        try:
            return await self._page(scope, receive, headers, identity, token)
        except Exception as error:  # noqa: BLE001 - the page is the same border as the endpoint
            return self._refuse(error, scope, headers, identity)

    async def _identify(self, token: str | None, client: str) -> Identity | None:
        try:
            return await self._access.authenticate(None, cookie_token=token, client=client)
        except WayhouseError:
            return None

    async def _page(
        self,
        scope: Scope,
        receive: Receive,
        headers: dict[str, str],
        identity: Identity | None,
        token: str | None,
    ) -> Answer:
        pages, path = self._routes.find(scope.get("raw_path", b"").decode("latin-1") or scope["path"])
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        page = pages.get(method)
        if page is None:
            raise _no_page(method, pages)
        if method == "POST" and not is_same_origin(headers):
            raise ForbiddenError(
                "This was sent from another page, so nothing was done. Open the gateway's own page and try again."
            )
        name = path.get("name")
        demand(page.right, identity, chute=name, chute_owner=self._owner_of(name) if name else None)
        form = await request.read_form(headers, receive) if method == "POST" else None
        visit = request.visit_of(scope, headers, path, identity=identity, token=token, form=form)
        return await self._run(page, visit, scope["path"])

    async def _run(self, page: Page, visit: Visit, path: str) -> Answer:
        outcome = "ok"
        try:
            return await page.handler(visit)
        except Exception as error:
            outcome = str(getattr(error, "code", "unforeseen"))
            raise
        finally:
            if page.is_audited:
                action = f"{page.method} {page.path}"
                self._access.audit.record(visit.identity, action, path, outcome=outcome, client=visit.client)

    def _owner_of(self, name: str) -> tuple[str, str] | None:
        chute = self._chutes.find(name)
        return (chute.owner.name, chute.owner.domain) if chute is not None else None

    def _refuse(
        self, error: Exception, scope: Scope, headers: dict[str, str], identity: Identity | None
    ) -> Answer:
        """What went wrong, as a page in the same frame, as a notice for htmx, or as the way to the sign-in page."""
        visit = request.visit_of({**scope, "query_string": b""}, headers, {}, identity=identity, token=None)
        if isinstance(error, UnauthenticatedError) and identity is None:
            return _to_sign_in(request.url_of(scope), visit, headers, self._templates)
        if not isinstance(error, WayhouseError):
            log.error("unforeseen failure while showing a page", exc_info=error)
            error = WayhouseError("The gateway could not do this. Its log says why.")
        template = "notice.html" if visit.is_part else "message.html"
        answer = self._templates.page(template, visit, status=error.status, error=error)
        if isinstance(error, TooManyRequestsError):
            answer = answer.with_header("retry-after", str(int(error.fields.get("retry_after_s", 1)) + 1))
        return answer


def _nothing(_overlay: str) -> Sequence[Received]:
    return ()


def _overlay_areas(overlays: Overlays | None, goods: Goods, templates: Templates) -> Iterable[Area]:
    if overlays is None:
        return ()
    return (
        OverlayListPages(overlays, templates),
        OverlayPages(overlays, templates),
        OverlayPeerPages(overlays, templates),
        OverlayMemberPages(overlays, templates),
        OverlayRulePages(overlays, templates),
        OverlaySharingPages(overlays, goods, templates),
        OverlaySetupPages(overlays, templates),
        OverlayNetcheckPages(overlays, templates),
    )


def _no_page(method: str, pages: Mapping[str, Page]) -> WayhouseError:
    if pages:
        return MethodNotAllowedError(f"{method} is not possible here.")
    return NotFoundError("There is no page at this address. It may have been moved, or the app is gone.")


def _to_sign_in(url: str, visit: Visit, headers: Mapping[str, str], templates: Templates) -> Answer:
    """A cookie of the strict kind is not sent with a link from elsewhere: the page then asks for itself once more."""
    if headers.get("sec-fetch-site") == "cross-site" and visit.method == "GET" and not visit.is_part:
        return templates.page("bounce.html", visit)
    wanted = url if visit.method in {"GET", "HEAD"} and not visit.is_part else "/"
    place = "/sign-in" if wanted == "/" else f"/sign-in?next={quote(wanted, safe='')}"
    if visit.is_part:
        return Answer(b"", 401, headers=(("hx-redirect", place),))
    return redirect(place)


async def _send(answer: Answer, send: Send, *, is_head: bool) -> None:
    headers = [
        (b"content-type", answer.media.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *_SAFE_HEADERS,
    ]
    if not any(name == "cache-control" for name, _ in answer.headers):
        headers.append((b"cache-control", b"no-store"))
    headers.extend((name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else answer.body})
