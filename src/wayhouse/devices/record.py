"""One device of the roster: its lasting id, where its driver finds it, what it is, and what is known of it now."""

from __future__ import annotations

import msgspec

from wayhouse.devices import names
from wayhouse.devices.device import BaseDevice
from wayhouse.devices.model import DeviceView, LastValue, Place
from wayhouse.devices.polling import Health

MAX_FORMER_NAMES = 8


class Record(msgspec.Struct):
    """`former_names` still find the device, until another takes one of them."""

    id: str
    driver: str
    address: str
    device: BaseDevice
    former_names: tuple[str, ...] = ()
    health: Health = msgspec.field(default_factory=Health)
    values: dict[str, LastValue] = {}

    @property
    def place(self) -> Place:
        return Place(self.address, self.device.oid, dict(self.device.config))

    def prefix(self, hostname: str) -> str:
        return f"{hostname}.{self.driver}"

    def view(self, hostname: str) -> DeviceView:
        device, health = self.device, self.health
        return DeviceView(
            id=self.id,
            name=device.name,
            fullname=device.fullname(self.prefix(hostname)),
            oid=device.oid,
            driver=self.driver,
            address=self.address,
            area=device.known.area,
            config=dict(device.config),
            commands=tuple(device.all_commands()),
            subdevices=tuple(device.subtypes),
            values=dict(self.values),
            is_available=health.is_available,
            last_seen=health.last_seen,
            reason=health.reason,
        )

    def fullname_of(self, hostname: str, path: str) -> str:
        """Of the device, or of the sub-device that `path` ("volume.level") belongs to."""
        subdevice = path.rpartition(".")[0]
        return names.fullname(self.prefix(hostname), self.device.name, subdevice)
