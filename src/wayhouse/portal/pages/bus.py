"""The bus: its processes, services, workers and queues; the keys of the clone; durable requests; asking a service by hand."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from wayhouse.access.policy import Right
from wayhouse.base.errors import BadInputError, NotFoundError, UnavailableError
from wayhouse.bus.model import Frames, NoReplyError
from wayhouse.bus.overview import DurableRequests
from wayhouse.bus.service import Bus
from wayhouse.portal.bus_keys import browse, folder_path, frame_text
from wayhouse.portal.bus_services import everything, listed
from wayhouse.portal.model import Answer, Page, Visit, page_number
from wayhouse.portal.templates import Templates

ASK_S = 5.0
MAX_SHOWN = 200
STATUS, REPLY = "titanic.status", "titanic.reply"
_UUID = re.compile(r"[0-9a-f]{32}")
STATES = {
    b"200": ("running", "Answered"),
    b"300": ("busy", "Waiting"),
    b"400": ("stopped", "Not known"),
    b"500": ("failing", "Failed"),
}
"""Of a durable request, by the status that Titanic gives."""
LOOKS = {"waiting": "stopped", "sent": "busy", "answered": "running", "failed": "failing"}
"""Of those in the list, by their state."""
SERVICE = "/bus/services/{service}"


class Asked(msgspec.Struct, frozen=True):
    """What a service was asked, and what it said; `error` where it said nothing."""

    text: str = ""
    reply: list[str] | None = None
    error: str = ""


class BusPages:
    def __init__(self, bus: Bus, templates: Templates) -> None:
        self._bus = bus
        self._templates = templates

    def pages(self) -> list[Page]:
        see, administer = Right.SEE_DEVICES, Right.ADMINISTER
        return [
            Page("GET", "/bus", see, self.overview),
            Page("GET", "/bus/now", see, self.now),
            Page("GET", "/bus/keys", see, self.keys),
            Page("GET", "/bus/requests", see, self.requests),
            Page("GET", SERVICE, see, self.service),
            Page("POST", SERVICE, administer, self.ask, is_audited=True),
        ]

    async def overview(self, visit: Visit) -> Answer:
        return await self._overview(visit, "bus.html")

    async def now(self, visit: Visit) -> Answer:
        """What moves, for htmx."""
        return await self._overview(visit, "_bus_now.html")

    async def keys(self, visit: Visit) -> Answer:
        folder = await browse(self._bus, folder_path(visit.query.get("under")))
        return self._templates.page("bus_keys.html", visit, folder=folder)

    async def requests(self, visit: Visit) -> Answer:
        """The newest ones; and what has become of one, by its id."""
        uuid = visit.query.get("id", "").strip().lower().replace("-", "")
        wanted = visit.query.get("q", "").strip()[:100]
        try:
            listed = await self._bus.requests(MAX_SHOWN, wanted)
            is_away = False
        except (NoReplyError, UnavailableError):
            listed, is_away = DurableRequests(), True
        return self._templates.page(
            "bus_requests.html",
            visit,
            listed=listed,
            is_away=is_away,
            looks=LOOKS,
            wanted=wanted,
            uuid=uuid[:64],
            found=await self._find(uuid, with_reply=visit.is_admin) if uuid else None,
        )

    async def service(self, visit: Visit) -> Answer:
        return await self._service(visit, Asked())

    async def ask(self, visit: Visit) -> Answer:
        """Send a request of frames, one in each line, and show the reply."""
        text = visit.field("frames").replace("\r\n", "\n")
        frames = [line.encode() for line in text.split("\n")]
        try:
            reply = await self._bus.call(visit.path["service"], frames, timeout_s=ASK_S, once=True)
        except (NoReplyError, UnavailableError, BadInputError) as error:
            return await self._service(visit, Asked(text, error=error.message))
        return await self._service(visit, Asked(text, [frame_text(frame) for frame in reply]))

    async def _overview(self, visit: Visit, template: str) -> Answer:
        overview = await self._bus.overview()
        broker = overview.broker
        return self._templates.page(
            template,
            visit,
            overview=overview,
            listing=await listed(
                self._bus,
                broker,
                visit.query.get("q", "").strip()[:100],
                page_number(visit.query.get("page")),
            ),
            waiting=sum(one.queued for one in broker.services),
        )

    async def _service(self, visit: Visit, asked: Asked) -> Answer:
        name = visit.path["service"]
        broker = (await self._bus.overview()).broker
        rows = await everything(self._bus, broker)
        found = next((row.figures for row in rows if row.figures.name == name), None)
        if found is None and not name.startswith("mmi."):
            raise NotFoundError(f"There is no service {name[:80]!r} on the bus now.")
        workers = [one for one in broker.workers if one.service == name]
        return self._templates.page(
            "bus_service.html", visit, service_name=name, service=found, workers=workers, asked=asked
        )

    async def _find(self, uuid: str, *, with_reply: bool) -> dict[str, Any]:
        if _UUID.fullmatch(uuid) is None:
            return {"error": "The id of a request has 32 hexadecimal digits."}
        try:
            status = await self._bus.call(STATUS, [uuid.encode()], timeout_s=ASK_S)
            state = status[1] if len(status) > 1 else b""
            reply = await self._reply(uuid) if with_reply and state.startswith(b"200") else []
        except (NoReplyError, UnavailableError) as error:
            return {"error": error.message}
        look, word = STATES.get(state[:3], ("stopped", "Not known"))
        return {"error": "", "look": look, "word": word, "reply": [frame_text(frame) for frame in reply]}

    async def _reply(self, uuid: str) -> Frames:
        return (await self._bus.call(REPLY, [uuid.encode()], timeout_s=ASK_S))[1:]
