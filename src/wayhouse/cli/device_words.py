"""Words that the commands on devices share: their arguments, values as people write them, and how devices are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wayhouse.base.errors import BadInputError
from wayhouse.cli.complete import device_names
from wayhouse.cli.figures import moment
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.devices.model import DeviceView, LastValue, LogEntry

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The device's name or id.", autocompletion=device_names)
]
Command = Annotated[
    str | None,
    typer.Argument(metavar="[COMMAND]", help="Such as value, power or level; the main one if none is given."),
]
_WORDS = {
    "on": True,
    "true": True,
    "yes": True,
    "1": True,
    "off": False,
    "false": False,
    "no": False,
    "0": False,
}
_TEXTS = {"Str", "Sch"}
MAX_SHOWN = 60


def value_of(text: str, valuetype: str) -> Any:
    """What a person wrote, as a command of that type takes it: `on` and `off`, texts as they are, the rest is JSON."""
    from wayhouse.base import codec

    if valuetype in _TEXTS:
        return text
    if valuetype == "Bool":
        if text.lower() not in _WORDS:
            raise BadInputError(f"{text!r} is neither on nor off.")
        return _WORDS[text.lower()]
    try:
        return codec.decode_json(text, object, what="value")
    except BadInputError as error:
        raise BadInputError(f"{text!r} is no value of type {valuetype}; write it as JSON.") from error


def described(session: Session, device: DeviceView) -> dict[str, dict[str, Any]]:
    """The commands of the device's type by their name or `subdevice.name`, as its template has them."""
    from wayhouse.api.resources import devices

    template = session.client.call(devices.TYPES).get(device.oid, {})
    found = dict(template.get("commands", {}))
    for inside, one in template.get("subdevices", {}).items():
        found |= {f"{inside}.{name}": command for name, command in one["commands"].items()}
    return found


def main_value(device: DeviceView) -> str:
    """What stands for the device in one cell: its `value`, or the first of what is known."""
    name = "value" if "value" in device.values else next(iter(device.values), None)
    if name is None:
        return ""
    return shown(device.values[name]) if name == "value" else f"{name} {shown(device.values[name])}"


def shown(last: LastValue) -> str:
    """`21.5 °C`, `on`, `off`."""
    return plain(last.value, last.unit)


def plain(value: Any, unit: str = "") -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = value if isinstance(value, str) else _number(value) if isinstance(value, float) else _json(value)
    text = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
    return f"{text} {unit}" if unit else text


def facts(device: DeviceView) -> list[tuple[str, str]]:
    """Name and value of each fact about a device; without those that are empty."""
    lines = [
        ("Name", device.name),
        ("Id", device.id),
        ("Type", device.oid),
        ("Area", device.area),
        ("Driver", f"{device.driver} at {device.address}"),
        ("Full name", device.fullname),
        ("State", "available" if device.is_available else "unavailable"),
        ("Reason", device.reason),
        ("Seen", moment(device.last_seen)),
        ("Sub-devices", ", ".join(f"{device.name}-{one}" for one in device.subdevices)),
    ]
    return [one for one in lines if one[1]]


def noted(entry: LogEntry) -> str:
    """An entry of the log in one line."""
    who = f" ({entry.who})" if entry.who else ""
    return f"{entry.kind}: {entry.text}{who}"


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.1f}"


def _json(value: Any) -> str:
    from wayhouse.base import codec

    return codec.encode_json(value).decode()
