"""All devices: found by words, area, driver and state; `/devices/live` feeds what moves; and adding one by hand."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from wayhouse.access.policy import Right
from wayhouse.base.errors import BadInputError, ConflictError, NotFoundError
from wayhouse.devices.model import DeviceView
from wayhouse.devices.service import Devices
from wayhouse.portal import formats
from wayhouse.portal.device_rows import WORDS, DeviceRow, Standing, Wanted, in_order, row_of, standing_of
from wayhouse.portal.model import Answer, Page, Visit, device_path, page_number, plain_json, redirect
from wayhouse.portal.templates import Templates

PER_PAGE = 50
NO_AREA = "-"


class DeviceListing(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the list. `counts` are of all devices by state. `stamp` changes when other rows belong on the page."""

    rows: list[DeviceRow]
    counts: dict[str, int]
    areas: list[str]
    drivers: list[str]
    total: int
    found: int
    wanted: Wanted
    number: int
    pages: int
    stamp: str


class DeviceListPages:
    def __init__(self, devices: Devices, templates: Templates) -> None:
        self._devices = devices
        self._templates = templates

    def pages(self) -> list[Page]:
        see, change = Right.SEE_DEVICES, Right.CHANGE_DEVICES
        return [
            Page("GET", "/devices", see, self.index),
            Page("GET", "/devices/list", see, self.list),
            Page("GET", "/devices/live", see, self.live),
            Page("GET", "/devices/new", change, self.form),
            Page("POST", "/devices/new", change, self.add, is_audited=True),
        ]

    async def index(self, visit: Visit) -> Answer:
        return self._templates.page("devices.html", visit, listing=self._listing(visit), words=WORDS)

    async def list(self, visit: Visit) -> Answer:
        """The list alone, for htmx."""
        return self._templates.page("_device_list.html", visit, listing=self._listing(visit))

    async def live(self, visit: Visit) -> Answer:
        """What moves, as JSON."""
        listing = self._listing(visit)
        now = self._templates.now()
        moving = [moving_row(row, now) for row in listing.rows]
        return plain_json({"stamp": listing.stamp, "devices": moving})

    async def form(self, visit: Visit) -> Answer:
        return self._form(visit, {"driver": "", "oid": "", "name": "", "address": ""})

    async def add(self, visit: Visit) -> Answer:
        given = {key: visit.field(key).strip() for key in ("driver", "oid", "name", "address")}
        try:
            json = {"oid": given["oid"], "name": given["name"]}
            device = await self._devices.new(
                json, driver=given["driver"], address=given["address"], who=visit.who.name
            )
        except (BadInputError, ConflictError, NotFoundError) as error:
            return self._form(visit, given, error.message, error.status)
        return redirect(device_path(device.id, "/configure"))

    def _form(self, visit: Visit, given: dict[str, str], error: str = "", status: int = 200) -> Answer:
        return self._templates.page(
            "device_new.html",
            visit,
            status=status,
            given=given,
            error=error,
            drivers=self._devices.drivers(),
            types=list(self._devices.templates()),
        )

    def _listing(self, visit: Visit) -> DeviceListing:
        everyone = self._devices.all()
        areas, drivers = self._devices.areas(), self._devices.drivers()
        wanted = _wanted(visit, {*areas, NO_AREA}, set(drivers))
        found = in_order(one for one in everyone if wanted.fits(one))
        pages = max(1, -(-len(found) // PER_PAGE))
        number = min(page_number(visit.query.get("page")), pages)
        shown = found[(number - 1) * PER_PAGE : number * PER_PAGE]
        return DeviceListing(
            rows=[row_of(one, self._devices.commands(one.id)) for one in shown],
            counts=counts_of(everyone),
            areas=areas,
            drivers=drivers,
            total=len(everyone),
            found=len(found),
            wanted=wanted,
            number=number,
            pages=pages,
            stamp=f"{zlib.crc32(repr([(one.id, one.area) for one in shown] + [pages]).encode()):x}",
        )


def counts_of(devices: list[DeviceView]) -> dict[str, int]:
    counts = {one.value: 0 for one in Standing}
    for device in devices:
        counts[standing_of(device).value] += 1
    return counts


def moving_row(row: DeviceRow, now: float) -> dict[str, Any]:
    return {
        "id": row.id,
        "stamp": row.stamp,
        "values": dict(row.values),
        "on": row.is_on,
        "seen": formats.ago(row.last_seen, now),
    }


def _wanted(visit: Visit, areas: set[str], drivers: set[str]) -> Wanted:
    """What is asked for; an area or driver that is not there is no wish."""

    def one_of(name: str, known: set[str]) -> str:
        text = visit.query.get(name, "")
        return text if text in known else ""

    return Wanted(
        query=visit.query.get("q", "").strip()[:100],
        area=one_of("area", areas),
        driver=one_of("driver", drivers),
        state=one_of("state", {one.value for one in Standing}),
    )
