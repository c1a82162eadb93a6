"""Where in the roster a word leads: a place, a name, a former name; and which words are taken. Called by the roster.

Rule: no question needs a look at all devices, so that of a thousand that join at once each costs what the first did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from wayhouse.devices.device import BaseDevice
from wayhouse.devices.record import Record

Held = dict[str, dict[str, Record]]
"""Word -> id -> record: a former name may be one of several devices'."""


class _Filed(NamedTuple):
    """Under which words a record was put, whatever has become of it since."""

    name: str
    former_names: tuple[str, ...]
    taken: frozenset[str]


class RosterIndex:
    """A record is `put` again after its name or its former names have changed."""

    def __init__(self) -> None:
        self._filed: dict[str, _Filed] = {}
        self._places: dict[tuple[str, str], Record] = {}
        self._named: Held = {}
        self._formerly: Held = {}
        self._takers: Counter[str] = Counter()
        self._copies: dict[str, int] = {}

    def put(self, record: Record) -> None:
        self.drop(record)
        device = record.device
        filed = _Filed(device.name, record.former_names, words_of(device.name, type(device)) | {record.id})
        self._filed[record.id] = filed
        self._places[record.driver, record.address] = record
        self._named.setdefault(filed.name, {})[record.id] = record
        for word in filed.former_names:
            self._formerly.setdefault(word, {})[record.id] = record
        self._takers.update(filed.taken)

    def drop(self, record: Record) -> None:
        """It need not be there."""
        filed = self._filed.pop(record.id, None)
        if filed is None:
            return
        if self._places.get((record.driver, record.address)) is record:
            del self._places[record.driver, record.address]
        _take_out(self._named, filed.name, record.id)
        for word in filed.former_names:
            _take_out(self._formerly, word, record.id)
        self._takers.subtract(filed.taken)
        for word in filed.taken:
            if not self._takers[word]:
                del self._takers[word]
        self._copies.clear()  # a lower number may be free now

    def at(self, driver: str, address: str) -> Record | None:
        return self._places.get((driver, address))

    def named(self, word: str) -> Record | None:
        """Whose name it is, or else whose it was."""
        for held in (self._named, self._formerly):
            for record in held.get(word, {}).values():
                return record
        return None

    def formerly(self, word: str) -> list[Record]:
        return list(self._formerly.get(word, {}).values())

    def taken(self, words: Collection[str], except_for: Record | None) -> set[str]:
        """Those of them that another device than `except_for` is called."""
        own = self._filed[except_for.id].taken if except_for is not None else frozenset()
        return {word for word in words if self._takers[word] > (word in own)}

    def free(self, wanted: str, most: int) -> str | None:
        """`wanted`, or with the lowest number behind it, below `most`, that nobody has."""
        if wanted not in self._takers:
            return wanted
        number = self._copies.get(wanted, 2)
        while number < most and f"{wanted} {number}" in self._takers:
            number += 1
        self._copies[wanted] = number
        return f"{wanted} {number}" if number < most else None


def words_of(name: str, kind: type[BaseDevice]) -> frozenset[str]:
    """What a device of this name and its sub-devices are called."""
    return frozenset({name, *(f"{name}-{subdevice}" for subdevice in kind.subtypes)})


def _take_out(held: Held, word: str, record_id: str) -> None:
    records = held[word]
    del records[record_id]
    if not records:
        del held[word]
