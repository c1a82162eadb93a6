"""What a device's commands look like on its page: a switch, a slider, a field, a choice, a button or a mere value.

Made from the live commands of its type and from `devices.form`, which knows the fields. Pure; used by the pages of devices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from wayhouse.devices.command import Command, ValueType
from wayhouse.devices.form import FormField, command_field
from wayhouse.devices.model import DeviceView, LastValue
from wayhouse.portal import values

Kind = Literal["switch", "slider", "number", "text", "choice", "button", "json", "value"]
MAX_SLIDER_STEPS = 1000
_KINDS: dict[str, Kind] = {
    "checkbox": "switch",
    "select": "choice",
    "integer": "number",
    "number": "number",
    "text": "text",
    "lines": "text",
    "json": "json",
}


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """`command` is its path ("volume.level"), `group` the sub-device or "". `low` and `high` bound a number, `step` is
    "any" unless it is whole. `has_history`: its numbers are kept when the device's log is on."""

    command: str
    group: str
    label: str
    info: str
    kind: Kind
    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: str = "any"
    choices: tuple[str, ...] = ()
    has_history: bool = False
    value: Any = None
    text: str = values.NOT_KNOWN
    time: float | None = None

    @property
    def field(self) -> str:
        """The value as a form's field has it."""
        return values.editable(self.value)

    @property
    def id(self) -> str:
        return f"c-{self.command.replace('.', '-')}"

    @property
    def title(self) -> str:
        """For what stands alone, such as a chart."""
        return f"{self.group.capitalize()}: {self.label.lower()}" if self.group else self.label


def controls(device: DeviceView, commands: Mapping[str, Command]) -> list[Control]:
    """One for each live command, sub-devices behind. What the gateway itself answers has places of its own."""
    live = ((path, one) for path, one in commands.items() if one.is_live)
    return [_control(device, path, command) for path, command in live]


def _control(device: DeviceView, path: str, command: Command) -> Control:
    group, _, name = path.rpartition(".")
    last = device.values.get(path)
    field = command_field(name, command, last)
    return Control(
        command=path,
        group=group,
        label=field.label,
        info=command.info,
        kind=_kind(command, field),
        unit=command.unit,
        low=field.minimum,
        high=field.maximum,
        step="1" if field.kind == "integer" else "any",
        choices=command.choices,
        has_history=command.datasource is not None,
        value=last.value if last is not None else None,
        text=text_of(device.oid, path, last),
        time=last.time if last is not None else None,
    )


def text_of(oid: str, command: str, last: LastValue | None) -> str:
    """A value for people to read."""
    if last is None:
        return values.NOT_KNOWN
    if oid == "clock" and command == "time":
        return values.moment_of(last.value)
    return values.shown(last.value, last.unit)


def _kind(command: Command, field: FormField) -> Kind:
    if command.readonly:
        return "value"
    if command.writeonly and command.valuetype is ValueType.BOOL:
        return "button"
    if command.choices:
        return "choice"
    found = _KINDS[field.kind]
    return "slider" if found == "number" and _is_short(field) else found


def _is_short(field: FormField) -> bool:
    """A range that a slider can reach each value of."""
    low, high = field.minimum, field.maximum
    return low is not None and high is not None and 0 < high - low <= MAX_SLIDER_STEPS
