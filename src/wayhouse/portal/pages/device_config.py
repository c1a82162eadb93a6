"""Changing a device: its name and area, its config as a form made from its type, taking it away."""

from __future__ import annotations

from wayhouse.access.policy import Right
from wayhouse.base.errors import BadInputError, ConflictError, WayhouseError
from wayhouse.devices.form import FormError, FormField, config_fields, from_form
from wayhouse.devices.model import DeviceView
from wayhouse.devices.service import Devices
from wayhouse.portal.device_rows import row_of
from wayhouse.portal.model import Answer, Page, Visit, device_path, redirect
from wayhouse.portal.pages.device import DEVICE
from wayhouse.portal.templates import Templates

ELSEWHERE = frozenset({"oid", "name", "area"})
"""Keys of the config that have a form of their own, or none."""


class DeviceConfigPages:
    def __init__(self, devices: Devices, templates: Templates) -> None:
        self._devices = devices
        self._templates = templates

    def pages(self) -> list[Page]:
        change = Right.CHANGE_DEVICES
        return [
            Page("GET", DEVICE + "/configure", change, self.show),
            Page("POST", DEVICE + "/place", change, self.place, is_audited=True),
            Page("POST", DEVICE + "/configure", change, self.configure, is_audited=True),
            Page("POST", DEVICE + "/remove", change, self.remove, is_audited=True),
        ]

    async def show(self, visit: Visit) -> Answer:
        return self._page(visit, done=visit.query.get("done", ""))

    async def place(self, visit: Visit) -> Answer:
        """Its name and its area."""
        device, who = self._device(visit), visit.who.name
        name, area = visit.field("name").strip(), visit.field("area").strip()
        try:
            if name != device.name:
                await self._devices.rename(device.id, name, who=who)
            if area != device.area:
                await self._devices.move(device.id, area, who=who)
        except (BadInputError, ConflictError) as error:
            return self._page(visit, place_error=error, given={"name": name, "area": area})
        return redirect(device_path(device.id, "/configure?done=place"))

    async def configure(self, visit: Visit) -> Answer:
        device = self._device(visit)
        fields = self._fields(device)
        try:
            config = from_form(fields, {name: values[-1] for name, values in visit.form.items()})
            kept = {key: device.config[key] for key in ELSEWHERE if key in device.config}
            await self._devices.configure(device.id, config | kept, who=visit.who.name)
        except (BadInputError, ConflictError) as error:
            return self._page(visit, config_error=error)
        return redirect(device_path(device.id, "/configure?done=config"))

    async def remove(self, visit: Visit) -> Answer:
        device = self._device(visit)
        if visit.field("sure") != "yes":
            text = "Its history and its log are deleted. If its driver still sees it, it comes back as a new device."
            back = device_path(device.id, "/configure")
            return self._templates.page(
                "sure_remove.html", visit, what=device.name, text=text, back=back, here="devices"
            )
        await self._devices.delete(device.id, who=visit.who.name)
        return redirect("/devices")

    def _device(self, visit: Visit) -> DeviceView:
        return self._devices.get(visit.path["device"])

    def _fields(self, device: DeviceView) -> list[FormField]:
        fields = config_fields(self._devices.template(device.oid), device.config)
        return [one for one in fields if one.name not in ELSEWHERE]

    def _page(
        self,
        visit: Visit,
        *,
        given: dict[str, str] | None = None,
        place_error: WayhouseError | None = None,
        config_error: WayhouseError | None = None,
        done: str = "",
    ) -> Answer:
        """With what was typed, if it could not be used."""
        device = self._device(visit)
        error = place_error or config_error
        faults = config_error.fields.get("errors", {}) if isinstance(config_error, FormError) else {}
        texts = {one.name: one.text for one in self._fields(device)}
        if config_error is not None:
            texts = {name: visit.field(name) for name in texts}
        return self._templates.page(
            "device_configure.html",
            visit,
            status=error.status if error else 200,
            device=device,
            row=row_of(device, self._devices.commands(device.id)),
            given=given or {"name": device.name, "area": device.area},
            areas=self._devices.areas(),
            fields=self._fields(device),
            texts=texts,
            faults=faults,
            place_error=place_error.message if place_error else "",
            config_error=config_error.message if config_error and not faults else "",
            done=done,
        )
