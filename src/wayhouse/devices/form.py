"""The mapping between a device and an HTML form: fields out of a type's template, and values out of what a form sends.

A page draws `FormField`s as it likes, or takes `html`. Every field goes both ways: `text` is what a form shows, and
`from_form` makes the same value of it again. What a form cannot show as text is a field of kind "json".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Literal

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.devices.command import Command, ValueType
from wayhouse.devices.device import BaseDevice
from wayhouse.devices.model import LastValue, Value

Kind = Literal["text", "lines", "number", "integer", "checkbox", "select", "json"]

_KINDS: dict[str, Kind] = {"string": "text", "number": "number", "integer": "integer", "boolean": "checkbox"}
_READ_ONLY = {"oid"}
_CHECKED = {"on", "true", "1"}


class FormError(BadInputError):
    """`errors` in the fields says for each faulty field what is wrong with it."""

    code = "bad-form"
    title = "Some fields cannot be used"

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(" ".join(f"{name}: {text}" for name, text in errors.items()), errors=dict(errors))


class FormField(msgspec.Struct, frozen=True, kw_only=True):
    """`step` None: any number. `is_given`: the device has this value itself, so it is not only the type's default."""

    name: str
    label: str
    kind: Kind
    value: Value = None
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    help: str = ""
    is_readonly: bool = False
    is_required: bool = False
    is_given: bool = True

    @property
    def text(self) -> str:
        """The value as a form shows it. A checkbox is "on" or ""."""
        if self.kind == "checkbox":
            return "on" if self.value else ""
        if self.kind in {"text", "lines", "select"}:
            return "" if self.value is None else str(self.value)
        return "" if self.value is None and self.kind != "json" else codec.encode_json(self.value).decode()

    def read(self, text: str | None) -> Value:
        """The value that a form sent; None is a field that is missing, as checkboxes are. Raises `BadInputError`."""
        if self.kind == "checkbox":
            return text is not None and text.lower() in _CHECKED
        if text is None:
            return self.value
        if self.kind == "lines":
            return text.replace("\r\n", "\n")
        if self.kind in {"text", "select"}:
            return self._choice(text)
        return self._number(text) if self.kind != "json" else _json(text)

    def _choice(self, text: str) -> str:
        if self.choices and text not in self.choices:
            raise BadInputError(f"Choose one of {', '.join(self.choices)}.")
        return text

    def _number(self, text: str) -> Value:
        number = _number(text)
        if number is None or (self.kind == "integer" and number != int(number)):
            raise BadInputError("Enter a whole number." if self.kind == "integer" else "Enter a number.")
        low, high = self.minimum, self.maximum
        if (low is not None and number < low) or (high is not None and number > high):
            raise BadInputError(
                f"Enter a number {_range(low, high)}{f' ({self.unit})' if self.unit else ''}."
            )
        return int(number) if self.kind == "integer" else number


def config_fields(template: Mapping[str, Any], config: Mapping[str, Any]) -> list[FormField]:
    """The keys that the type knows, then the device's free keys."""
    known = template["config"]["properties"]
    required = set(template["config"].get("required", ()))
    fields = [_config_field(name, schema, config, name in required) for name, schema in known.items()]
    return fields + [_free_field(name, value) for name, value in config.items() if name not in known]


def from_form(fields: Iterable[FormField], form: Mapping[str, str]) -> dict[str, Value]:
    """The config that a form describes. What was a default and still is is left out. Raises `FormError`."""
    config: dict[str, Value] = {}
    errors: dict[str, str] = {}
    for field in fields:
        if field.is_readonly:
            config |= {field.name: field.value} if field.is_given else {}
            continue
        try:
            value = field.read(form.get(field.name))
        except BadInputError as error:
            errors[field.name] = error.message
            continue
        if field.is_given or value != field.value:
            config[field.name] = value
    if errors:
        raise FormError(errors)
    return config


def command_fields(
    commands: Mapping[str, Command], values: Mapping[str, LastValue] | None = None
) -> list[FormField]:
    """A field for each live command, with the newest value."""
    known = values or {}
    return [command_field(name, one, known.get(name)) for name, one in commands.items() if one.is_live]


def command_field(name: str, command: Command, last: LastValue | None = None) -> FormField:
    schema = command.description()["schema"]
    kind = "text" if command.valuetype in {ValueType.STR, ValueType.SCH} else _kind(schema)
    return FormField(
        name=name,
        label=_label(name),
        kind=kind,
        value=last.value if last is not None else None,
        unit=command.unit,
        minimum=_shown_bound(schema.get("minimum")),
        maximum=_shown_bound(schema.get("maximum")),
        step=1 if kind == "integer" else None,
        choices=command.choices,
        help=command.info,
        is_readonly=command.readonly,
        is_given=last is not None,
    )


def html(device: BaseDevice, *, action: str = "", errors: Mapping[str, str] | None = None) -> str:
    """A plain form for the device's config, with labels, bounds and errors that a screen reader finds."""
    faults = errors or {}
    rows = (
        _row(field, faults.get(field.name, "")) for field in config_fields(device.template, device.config)
    )
    return (
        f'<form method="post" action="{escape(action)}"><fieldset><legend>{escape(device.name)}</legend>'
        f'{"".join(rows)}<button type="submit">Save</button></fieldset></form>'
    )


def _config_field(
    name: str,
    schema: Mapping[str, Any],
    config: Mapping[str, Any],
    is_required: bool,  # noqa: FBT001 - a fact
) -> FormField:
    value = config.get(name, schema.get("default"))
    kind = _kind(schema)
    return FormField(
        name=name,
        label=_label(name),
        kind=kind if _fits(kind, value) else _kind_of(value),
        value=value,
        unit="s" if name == "poll" or name.endswith("_s") else "",
        minimum=schema.get("minimum", schema.get("exclusiveMinimum")),
        maximum=schema.get("maximum", schema.get("exclusiveMaximum")),
        step=1 if kind == "integer" else None,
        max_length=schema.get("maxLength"),
        choices=tuple(str(one) for one in schema.get("enum", ())),
        help=schema.get("description", ""),
        is_readonly=name in _READ_ONLY,
        is_required=is_required,
        is_given=name in config,
    )


def _free_field(name: str, value: Value) -> FormField:
    return FormField(name=name, label=_label(name), kind=_kind_of(value), value=value)


def _kind(schema: Mapping[str, Any]) -> Kind:
    if "enum" in schema and all(isinstance(one, str) for one in schema["enum"]):
        return "select"
    found = schema.get("type")
    return _KINDS.get(found, "json") if isinstance(found, str) else "json"


def _kind_of(value: Value) -> Kind:
    """Of a value whose key no type describes. What a text field would not give back as it was is JSON."""
    if isinstance(value, bool):
        return "checkbox"
    if isinstance(value, (int, float)):
        return "integer" if isinstance(value, int) else "number"
    if not isinstance(value, str):
        return "json"
    if value.isprintable():
        return "text"
    return "lines" if all(char.isprintable() or char == "\n" for char in value) else "json"


def _fits(kind: Kind, value: Value) -> bool:
    """Whether a field of this kind can show the value and give it back."""
    if kind == "text":
        return value is None or (isinstance(value, str) and value.isprintable())
    return kind in {"select", "json", "checkbox"} or value is None or _kind_of(value) in {kind, "integer"}


def _row(field: FormField, fault: str) -> str:
    key = escape(f"field-{field.name}")
    notes = " ".join(part for part in (field.help, f"in {field.unit}" if field.unit else "") if part)
    described = f' aria-describedby="{key}-help"' if notes or fault else ""
    invalid = ' aria-invalid="true"' if fault else ""
    told = f'<small id="{key}-help">{escape(notes)}{f" <strong>{escape(fault)}</strong>" if fault else ""}</small>'
    shared = f'id="{key}" name="{escape(field.name)}"{described}{invalid}'
    shared += " required" if field.is_required and field.kind != "checkbox" else ""
    return (
        f'<p><label for="{key}">{escape(field.label)}</label> {_control(field, shared)}'
        f"{told if described else ''}</p>"
    )


def _control(field: FormField, shared: str) -> str:
    readonly = " readonly" if field.is_readonly else ""
    text = escape(field.text)
    if field.kind == "checkbox":
        return f'<input type="checkbox" {shared}{" checked" if field.value else ""}>'
    if field.kind == "select":
        options = (
            f"<option{' selected' if one == field.text else ''}>{escape(one)}</option>"
            for one in field.choices
        )
        return f"<select {shared}>{''.join(options)}</select>"
    if field.kind in {"lines", "json"}:
        return f"<textarea {shared}{readonly}>\n{text}</textarea>"
    if field.kind == "text":
        most = f' maxlength="{field.max_length}"' if field.max_length is not None else ""
        return f'<input type="text" {shared}{most}{readonly} value="{text}">'
    bounds = (("min", field.minimum), ("max", field.maximum), ("step", field.step or "any"))
    shown = "".join(f' {name}="{value}"' for name, value in bounds if value is not None)
    return f'<input type="number" {shared}{shown}{readonly} value="{text}">'


def _json(text: str) -> Value:
    return codec.decode_json(text.encode("utf-8", "replace"), object, what="value")


def _number(text: str) -> int | float | None:
    """A number in JSON's form, also with a comma; None if it is none."""
    try:
        number = _json(text.strip().replace(",", "."))
    except BadInputError:
        return None
    is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
    return number if is_number and math.isfinite(number) else None


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"from {low:g} to {high:g}"
    return f"of at least {low:g}" if low is not None else f"of at most {high:g}"


def _shown_bound(bound: float | None) -> float | None:
    """The bounds of the machine's numbers are no help to anybody."""
    return None if bound is None or abs(bound) > 1e15 else bound


def _label(name: str) -> str:
    """`cycle_s` is "Cycle", `volume.level` "Volume level"."""
    words = name.removesuffix("_s").replace("_", " ").replace(".", " ").strip() or name
    return words[:1].upper() + words[1:]
