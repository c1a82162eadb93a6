"""One device: its values and what can be done with it, its history, its log, its config; commands from here and the list."""

from __future__ import annotations

from typing import Any

from wayhouse.access.policy import Right
from wayhouse.api.resources.devices import Pictures
from wayhouse.base.errors import NotFoundError
from wayhouse.devices.model import DeviceView, NoSuchCommandError
from wayhouse.devices.service import Devices
from wayhouse.portal import formats, history
from wayhouse.portal.controls import Control, controls
from wayhouse.portal.device_rows import DeviceRow, row_of
from wayhouse.portal.model import Answer, Page, Visit, device_path, plain_json, redirect
from wayhouse.portal.templates import Templates

DEVICE = "/devices/{device}"
CAMERA = "media.camera"
LOG_LINES = 100
_MAGIC = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF8", "image/gif"))


class DevicePages:
    """`pictures` gives the newest picture of a camera by the device's id."""

    def __init__(self, devices: Devices, templates: Templates, pictures: Pictures) -> None:
        self._devices = devices
        self._templates = templates
        self._pictures = pictures

    def pages(self) -> list[Page]:
        see, do = Right.SEE_DEVICES, Right.COMMAND_DEVICES
        return [
            Page("GET", DEVICE, see, self.overview),
            Page("GET", DEVICE + "/row", see, self.row),
            Page("GET", DEVICE + "/head", see, self.head),
            Page("GET", DEVICE + "/live", see, self.live),
            Page("GET", DEVICE + "/log", see, self.log),
            Page("GET", DEVICE + "/readings", see, self.readings),
            Page("GET", DEVICE + "/readings.csv", see, self.readings_file),
            Page("GET", DEVICE + "/picture", see, self.picture),
            Page("POST", DEVICE + "/command", do, self.command, is_audited=True),
        ]

    async def overview(self, visit: Visit) -> Answer:
        device = self._device(visit)
        return self._page(
            "device_overview.html",
            visit,
            device,
            controls=self._controls(device),
            ranges=history.RANGES,
            has_picture=device.oid.startswith(CAMERA),
            keeps_history=bool(device.config.get("log", self._logs_unasked(device))),
        )

    async def row(self, visit: Visit) -> Answer:
        """The device as one line of the list, for htmx."""
        row = self._row(self._device(visit))
        return self._templates.page("_device_row.html", visit, device=row)

    async def head(self, visit: Visit) -> Answer:
        return self._page("_device_head.html", visit, self._device(visit))

    async def live(self, visit: Visit) -> Answer:
        """What moves, as JSON: for each command its value as text and as it is."""
        device, now = self._device(visit), self._templates.now()
        row = self._row(device)
        moving = {one.command: _moving(one, now) for one in self._controls(device)}
        return plain_json(
            {"stamp": row.stamp, "seen": formats.ago(device.last_seen, now), "controls": moving}
        )

    async def command(self, visit: Visit) -> Answer:
        """Tell the device; then its row, or the one control, again."""
        device, name = self._device(visit), visit.field("command")
        self._control(device, name)
        await self._devices.command_text(device.id, name, visit.field("value"), who=visit.who.name)
        if not visit.is_part:
            return redirect(device_path(device.id))
        if visit.field("view") == "row":
            return await self.row(visit)
        device = self._device(visit)
        return self._templates.page(
            "_control.html", visit, device=device, control=self._control(device, name)
        )

    async def readings(self, visit: Visit) -> Answer:
        """History for the chart, as columns of JSON: `range` is day, week, month or year."""
        device, found = self._device(visit), self._found(visit)
        command = self._devices.commands(device.id).get(visit.query.get("command", ""))
        return plain_json(history.columns(found, command.unit if command is not None else ""))

    async def readings_file(self, visit: Visit) -> Answer:
        device, command = self._device(visit), visit.query.get("command", "")
        text = history.csv(self._found(visit).buckets)
        disposition = (
            "content-disposition",
            f'attachment; filename="{history.file_name(device.name, command)}"',
        )
        return Answer(text.encode(), 200, "text/csv; charset=utf-8", (disposition,))

    async def log(self, visit: Visit) -> Answer:
        device, text = self._device(visit), visit.query.get("before", "")
        before = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
        entries = self._devices.log(device.id, limit=LOG_LINES, before=before)
        more = entries[-1].number if len(entries) == LOG_LINES else None
        return self._page("device_log.html", visit, device, entries=entries, next_before=more)

    async def picture(self, visit: Visit) -> Answer:
        device = self._device(visit)
        found = await self._pictures(device.id)
        media = media_of(found[0]) if found is not None else None
        if found is None or media is None:
            raise NotFoundError("There is no picture of this device yet.")
        return Answer(found[0], 200, media)

    def _found(self, visit: Visit) -> history.Found:
        span = history.span_named(visit.query.get("range", ""))
        end = self._templates.now()
        device = self._device(visit)
        buckets = self._devices.readings(
            device.id, visit.query.get("command", ""), end - span.seconds, end, points=span.points
        )
        return history.Found(end - span.seconds, end, buckets)

    def _device(self, visit: Visit) -> DeviceView:
        return self._devices.get(visit.path["device"])

    def _controls(self, device: DeviceView) -> list[Control]:
        return controls(device, self._devices.commands(device.id))

    def _control(self, device: DeviceView, name: str) -> Control:
        """What is about the device itself is not commanded here: that takes another right."""
        found = next((one for one in self._controls(device) if one.command == name), None)
        if found is None:
            raise NoSuchCommandError(f"{device.name} has no command {name[:80]!r} that it can be given here.")
        return found

    def _row(self, device: DeviceView) -> DeviceRow:
        return row_of(device, self._devices.commands(device.id))

    def _logs_unasked(self, device: DeviceView) -> bool:
        """Whether devices of this type keep history when their config does not say."""
        described = self._devices.template(device.oid)["config"]["properties"].get("log", {})
        return bool(described.get("default", False))

    def _page(self, template: str, visit: Visit, device: DeviceView, **values: Any) -> Answer:
        row = self._row(device)
        return self._templates.page(template, visit, device=device, row=row, **values)


def media_of(data: bytes) -> str | None:
    """Of a picture, by how it begins: a camera says what it likes, and only pictures are passed on."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((media for magic, media in _MAGIC if data.startswith(magic)), None)


def _moving(one: Control, now: float) -> dict[str, Any]:
    is_plain = isinstance(one.value, (bool, int, float, str)) or one.value is None
    return {
        "text": one.text,
        "value": one.value if is_plain else one.field,
        "time": formats.ago(one.time, now),
    }
