"""Which devices exist and how they are found: by id, by name, by a former name, by their place at a driver.

Ids never change. A new name keeps the old one as a former name, so that what refers to it goes on working. The
service's verbs and the driver's server both go through here.
"""

from __future__ import annotations

from wayhouse.base import ids
from wayhouse.devices import names
from wayhouse.devices.device import BaseDevice, Json
from wayhouse.devices.model import NameTakenError, NoSuchDeviceError, TooManyDevicesError
from wayhouse.devices.record import MAX_FORMER_NAMES, Record
from wayhouse.devices.register import DeviceRegister
from wayhouse.devices.roster_index import RosterIndex, words_of
from wayhouse.devices.store import DeviceStore

MAX_DEVICES = 1000
MAX_COPIES = 1000


class Roster:
    def __init__(self, store: DeviceStore, register: DeviceRegister) -> None:
        self.register = register
        self._store = store
        self._records = {record.id: record for record in store.load(register)}
        self._index = RosterIndex()
        for record in self._records.values():
            self._index.put(record)

    def all(self, driver: str | None = None) -> list[Record]:
        """By name."""
        chosen = (one for one in self._records.values() if driver in {None, one.driver})
        return sorted(chosen, key=lambda one: one.device.name)

    def find(self, reference: str) -> tuple[Record, str]:
        """The device and the sub-device ("" for the device itself) that an id, a name, a former name, or one of these
        with `-subdevice` means. Raises `NoSuchDeviceError`."""
        record = self._by_reference(reference)
        if record is not None:
            return record, ""
        whole, subdevice = names.split(reference)
        record = self._by_reference(whole)
        if record is None or subdevice not in record.device.subtypes:
            raise NoSuchDeviceError(
                f"There is no device {reference[:80]!r}. List the devices to see their names."
            )
        return record, subdevice

    def at(self, driver: str, address: str) -> Record | None:
        return self._index.at(driver, address)

    async def add(self, driver: str, address: str, json: Json) -> Record:
        """Raises `BadDeviceError`, `NameTakenError` and `TooManyDevicesError`."""
        device = self.register.new(json)
        if len(self._records) >= MAX_DEVICES:
            raise TooManyDevicesError(f"There are {MAX_DEVICES} devices already. Delete one first.")
        self._require_free(device.name, type(device), except_for=None)
        if self.at(driver, address) is not None:
            raise NameTakenError(f"The driver {driver} has a device at {address[:80]!r} already.")
        record = Record(ids.short_id(), driver, address, device)
        self._enter(record)
        try:
            await self._save(record)
        except BaseException:
            self._leave(record)
            raise
        await self._take_from_others(record)
        return record

    def free_name(self, wanted: str) -> str:
        """`wanted`, or with a number behind it."""
        found = self._index.free(wanted, MAX_COPIES)
        if found is None:
            raise NameTakenError(f"No free name like {wanted!r} is left.")
        return found

    async def configure(self, record: Record, config: Json) -> None:
        """Replace the config; a new name in it keeps the old one as a former name. All or nothing."""
        self.require(record)
        new = type(record.device).new(config)
        self._require_free(new.name, type(new), except_for=record)
        before = record.device, record.former_names
        record.former_names = _former(record, new.name)
        record.device = new
        self._index.put(record)
        try:
            await self._save(record)
        except BaseException:
            record.device, record.former_names = before
            if record.id in self._records:
                self._index.put(record)
            raise
        await self._take_from_others(record)

    async def remember(self, record: Record) -> None:
        """Write its last sight to disk, if it is still in the roster."""
        if record.id in self._records:
            await self._save(record)

    async def remove(self, record: Record) -> None:
        """What is written of it from now on is refused, so it cannot come back by a write that was under way."""
        self.require(record)
        self._leave(record)
        try:
            await self._store.delete(record.id)
        except BaseException:
            self._enter(record)
            raise

    def require(self, record: Record) -> None:
        """Raises `NoSuchDeviceError` if it has been removed meanwhile."""
        if self._records.get(record.id) is not record:
            raise NoSuchDeviceError(f"The device {record.device.name!r} has been removed.")

    async def _take_from_others(self, record: Record) -> None:
        """Its name is nobody's former name any more."""
        name = record.device.name
        for other in self._index.formerly(name):
            if other is not record and other.id in self._records:
                other.former_names = tuple(one for one in other.former_names if one != name)
                self._index.put(other)
                await self._save(other)

    def _enter(self, record: Record) -> None:
        self._records[record.id] = record
        self._index.put(record)

    def _leave(self, record: Record) -> None:
        del self._records[record.id]
        self._index.drop(record)

    async def _save(self, record: Record) -> None:
        await self._store.save(record)

    def _by_reference(self, reference: str) -> Record | None:
        return self._records.get(reference) or self._index.named(reference)

    def _require_free(self, name: str, kind: type[BaseDevice], *, except_for: Record | None) -> None:
        clash = self._index.taken(words_of(name, kind), except_for)
        if clash:
            raise NameTakenError(
                f"Another device is called {min(clash)!r}. Choose another name.", path="name"
            )


def _former(record: Record, name: str) -> tuple[str, ...]:
    if name == record.device.name:
        return record.former_names
    kept = (record.device.name, *(one for one in record.former_names if one != name))
    return kept[:MAX_FORMER_NAMES]
