"""The devices as the list of them shows them: found by words, area, driver and state; each with its values as text."""

from __future__ import annotations

import enum
import zlib
from collections.abc import Iterable, Mapping

import msgspec

from wayhouse.devices.command import Command, ValueType
from wayhouse.devices.model import DeviceView
from wayhouse.portal.controls import text_of
from wayhouse.portal.model import device_path

SHOWN_VALUES = 3
Commands = Mapping[str, Command]


class Standing(enum.StrEnum):
    """How a device is; the values are states of the page's look."""

    HERE = "running"
    AWAY = "failing"
    NEW = "stopped"


WORDS = {Standing.HERE: "Available", Standing.AWAY: "Away", Standing.NEW: "Not seen yet"}


class DeviceRow(msgspec.Struct, frozen=True, kw_only=True):
    """`values` are (command, text) of what matters most; `toggle` is the command of its switch, if it has one, and `is_on`
    what that says. `stamp` changes when anything but a value does."""

    id: str
    name: str
    oid: str
    driver: str
    area: str
    standing: Standing
    reason: str
    values: tuple[tuple[str, str], ...]
    toggle: str | None
    is_on: bool
    last_seen: float | None
    stamp: str

    @property
    def path(self) -> str:
        return device_path(self.id)

    @property
    def label(self) -> str:
        return WORDS[self.standing]


class Wanted(msgspec.Struct, frozen=True):
    """What is looked for; "" is everything."""

    query: str = ""
    area: str = ""
    driver: str = ""
    state: str = ""

    def fits(self, device: DeviceView) -> bool:
        if self.area and self.area != (device.area or "-"):
            return False
        if self.driver and self.driver != device.driver:
            return False
        if self.state and self.state != standing_of(device).value:
            return False
        text = f"{device.name} {device.oid} {device.area} {device.fullname} {device.address}".casefold()
        return all(word in text for word in self.query.casefold().split())


def standing_of(device: DeviceView) -> Standing:
    if device.is_available:
        return Standing.HERE
    return Standing.AWAY if device.last_seen is not None else Standing.NEW


def in_order(devices: Iterable[DeviceView]) -> list[DeviceView]:
    """By area, those without one last, then by name."""
    return sorted(devices, key=lambda one: (one.area == "", one.area.casefold(), one.name.casefold()))


def row_of(device: DeviceView, commands: Commands) -> DeviceRow:
    toggle = _toggle(commands)
    is_on = toggle is not None and toggle in device.values and device.values[toggle].value is True
    standing = standing_of(device)
    facts = (device.name, device.area, device.oid, standing, device.reason, device.commands, toggle)
    return DeviceRow(
        id=device.id,
        name=device.name,
        oid=device.oid,
        driver=device.driver,
        area=device.area,
        standing=standing,
        reason=device.reason,
        values=_values(device, commands, toggle),
        toggle=toggle,
        is_on=is_on,
        last_seen=device.last_seen,
        stamp=f"{zlib.crc32(repr(facts).encode('utf-8', 'replace')):x}",
    )


def _values(device: DeviceView, commands: Commands, toggle: str | None) -> tuple[tuple[str, str], ...]:
    """`value` first; what a switch shows is not told in words beside it."""
    live = [name for name in device.values if name in commands and commands[name].is_live and name != toggle]
    chosen = sorted(live, key=lambda name: (name != "value", "." in name))[:SHOWN_VALUES]
    return tuple((name, text_of(device.oid, name, device.values[name])) for name in chosen)


def _toggle(commands: Commands) -> str | None:
    """The first live command of its own that is on or off and can be told so."""
    for name, one in commands.items():
        is_both_ways = not one.readonly and not one.writeonly
        if one.is_live and is_both_ways and one.valuetype is ValueType.BOOL and "." not in name:
            return name
    return None
