"""Where the value is in a message, and how one is put into a message: the simple part of Home Assistant's templates.

`{{ value }}`, `{{ value_json.a['b'][0] | float | round(1) }}` or the path alone (`a.b[0]`, `$.a`). What comes from a
broker is never run as a program: anything beyond one path and these filters is refused when it is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.devices.model import DeviceNotReadyError, Value

MAX_TEMPLATE = 1024
MAX_STEPS = 32

Step = str | int
_STEP = re.compile(
    r"""\.?([A-Za-z_][\w-]*|\d+)|\[\s*(?:(-?\d{1,6})|'([^'\\]*)'|"([^"\\]*)")\s*\]""", re.ASCII
)
_EXPRESSION = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_FILTER = re.compile(r"\s*(\w+)\s*(?:\(\s*(.*?)\s*\))?\s*", re.ASCII | re.DOTALL)
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)
_MISSING = object()


class Filter(msgspec.Struct, frozen=True):
    name: str
    argument: Value = None


class Template(msgspec.Struct, frozen=True):
    """`is_json`: the message is JSON and `path` leads to the value in it."""

    is_json: bool = False
    path: tuple[Step, ...] = ()
    filters: tuple[Filter, ...] = ()

    def of(self, payload: bytes) -> Value:
        """The value in a message. Raises `DeviceNotReadyError`."""
        try:
            text = payload.decode()
            found = codec.decode_json(text, object, what="message") if self.is_json else text
        except (UnicodeDecodeError, BadInputError) as error:
            raise DeviceNotReadyError(f"The message cannot be read: {error}") from error
        return self.filtered(_walk(found, self.path))

    def filtered(self, value: Value) -> Value:
        for one in self.filters:
            value = _FILTERS[one.name](value, one.argument)
        if value is _MISSING:
            raise DeviceNotReadyError(f"The message has no {'.'.join(map(str, self.path))[:80]}.")
        return value


class CommandTemplate(msgspec.Struct, frozen=True):
    """Texts and the expressions between them, which take the value that is sent."""

    parts: tuple[str | Template, ...] = (Template(),)

    def of(self, value: Value) -> str:
        return "".join(one if isinstance(one, str) else shown(one.filtered(value)) for one in self.parts)


def parse_value(text: str) -> Template:
    """A path or one expression; "" is the whole message. Raises `BadInputError`."""
    _check_size(text)
    bare = text.strip()
    if not bare:
        return Template()
    if "{" not in bare:
        return Template(is_json=True, path=_path(bare.removeprefix("$")))
    found = _EXPRESSION.fullmatch(bare)
    if found is None:
        raise _refused(text)
    return _expression(found[1])


def parse_command(text: str) -> CommandTemplate:
    """A text with `{{ value }}` in it; "" is the value alone. Raises `BadInputError`."""
    _check_size(text)
    if not text:
        return CommandTemplate()
    pieces = _EXPRESSION.split(text)
    if any("{%" in one or "{{" in one or "}}" in one for one in pieces[::2]):
        raise _refused(text)
    parts: list[str | Template] = []
    for number, piece in enumerate(pieces):
        parts.append(_expression(piece) if number % 2 else piece)
    if any(isinstance(one, Template) and (one.is_json or one.path) for one in parts):
        raise _refused(text)
    return CommandTemplate(tuple(parts))


def number(value: Value) -> float:
    """A finite number out of a text, number or bool. Raises `DeviceNotReadyError`."""
    found = math.nan
    if isinstance(value, (int, float)):
        found = float(value) if abs(value) < 1e300 else math.nan
    elif isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        found = float(value)
    if not math.isfinite(found):
        raise DeviceNotReadyError(f"{shown(value)[:40]!r} is no number.")
    return found


def shown(value: Value) -> str:
    """As a text: texts as they are, whole numbers without a point, everything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return codec.encode_json(value).decode()


def _expression(text: str) -> Template:
    root, *filters = text.split("|")
    root = root.strip()
    found = tuple(_filter(one) for one in filters)
    for name, is_json in (("value_json", True), ("value", False)):
        if root == name or root.startswith((f"{name}.", f"{name}[")):
            path = _path(root.removeprefix(name))
            if path and not is_json:
                break
            return Template(is_json, path, found)
    raise _refused(text)


def _path(text: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    place = 0
    while place < len(text):
        found = _STEP.match(text, place)
        if found is None or len(steps) >= MAX_STEPS:
            raise _refused(text)
        name, index, single, double = found.groups()
        steps.append(
            int(index)
            if index is not None
            else next(one for one in (name, single, double) if one is not None)
        )
        place = found.end()
    return tuple(steps)


def _walk(value: Value, path: tuple[Step, ...]) -> Value:
    for step in path:
        if isinstance(value, dict):
            value = value.get(str(step), _MISSING)
        elif (
            isinstance(value, list)
            and str(step).lstrip("-").isdigit()
            and -len(value) <= int(step) < len(value)
        ):
            value = value[int(step)]
        else:
            return _MISSING
    return _MISSING if value is None and path else value


def _filter(text: str) -> Filter:
    found = _FILTER.fullmatch(text)
    if found is None or found[1] not in _FILTERS:
        raise _refused(text)
    argument = found[2]
    if not argument:
        return Filter(found[1])
    try:
        value = codec.decode_json(argument.replace("'", '"'), object, what="template")
    except BadInputError:
        value = {"true": True, "false": False}.get(argument.lower())
    if found[1] in {"round", "multiply", "add"} and not _is_sane(value):
        raise _refused(text)
    return Filter(found[1], value)


def _is_sane(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e12


def _as_number(value: Value, argument: Value) -> Value:
    if argument is None or value is _MISSING:
        return value if value is _MISSING else number(value)
    try:
        return number(value)
    except DeviceNotReadyError:
        return argument


def _as_int(value: Value, argument: Value) -> Value:
    found = _as_number(value, argument)
    return int(found) if isinstance(found, float) else found


def _present(work: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    return lambda value, argument: value if value is _MISSING else work(value, argument)


_FILTERS: dict[str, Callable[[Value, Value], Any]] = {
    "float": _as_number,
    "int": _as_int,
    "default": lambda value, argument: argument if value is _MISSING else value,
    "round": _present(lambda value, digits: round(number(value), max(-12, min(12, int(digits or 0))))),
    "abs": _present(lambda value, _: abs(number(value))),
    "multiply": _present(lambda value, factor: number(value) * float(factor or 0)),
    "add": _present(lambda value, more: number(value) + float(more or 0)),
    "lower": _present(lambda value, _: shown(value).lower()),
    "upper": _present(lambda value, _: shown(value).upper()),
    "trim": _present(lambda value, _: shown(value).strip()),
    "string": _present(lambda value, _: shown(value)),
    "tojson": _present(lambda value, _: codec.encode_json(value).decode()),
    "is_defined": lambda value, _: value,
}


def _check_size(text: str) -> None:
    if len(text) > MAX_TEMPLATE:
        raise BadInputError(f"A template has at most {MAX_TEMPLATE} characters.")


def _refused(text: str) -> BadInputError:
    return BadInputError(
        f"The template {text.strip()[:80]!r} is more than a path and simple filters "
        f"({', '.join(_FILTERS)}). Give the path to the value alone."
    )
