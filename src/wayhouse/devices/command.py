"""One command of a device type: what it is called, which values it takes, and whether it is read, written or both.

Modelled on Z-Wave's command classes. Value types keep RasPy's names; `Sch` (a schedule) travels as text.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.devices.model import BadValueError, CommandNotAllowedError, Value

MAX_VALUE_BYTES = 64 * 1024
MAX_INT = 2**63 - 1


class ValueType(StrEnum):
    LIST = "List"
    BOOL = "Bool"
    BYTE = "Byte"
    INT = "Int"
    REAL = "Real"
    STR = "Str"
    SCH = "Sch"
    DICT = "Dict"


class DataSource(StrEnum):
    """How numbers become history, in RRD's words: as they are, or as a rate per second."""

    COUNTER = "COUNTER"
    DERIVE = "DERIVE"
    ABSOLUTE = "ABSOLUTE"
    GAUGE = "GAUGE"


_KINDS: dict[ValueType, Any] = {
    ValueType.LIST: list[Any],
    ValueType.BOOL: bool,
    ValueType.BYTE: int,
    ValueType.INT: int,
    ValueType.REAL: float,
    ValueType.STR: str,
    ValueType.SCH: str,
    ValueType.DICT: dict[str, Any],
}
_LIMITS = {ValueType.BYTE: (0, 255), ValueType.INT: (-MAX_INT, MAX_INT)}
_SCHEMAS = {
    ValueType.LIST: "array",
    ValueType.BOOL: "boolean",
    ValueType.BYTE: "integer",
    ValueType.INT: "integer",
    ValueType.REAL: "number",
    ValueType.STR: "string",
    ValueType.SCH: "string",
    ValueType.DICT: "object",
}


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """`minimum` and `maximum` bound numbers, `choices` texts. `datasource` None: no history is kept of it.
    `is_live`: the value comes from the driver, not from what the gateway knows. `idempotent`: doing it twice is the same
    as doing it once, so a request whose answer was lost may be sent again; buttons that step or take are not."""

    name: str
    info: str
    valuetype: ValueType
    unit: str = ""
    readonly: bool = False
    writeonly: bool = False
    datasource: DataSource | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    is_live: bool = True
    idempotent: bool = True

    def check(self, value: Value) -> Value:
        """`value` as this command's type (a whole number becomes a real one). Raises `BadValueError`."""
        try:
            checked = codec.convert(value, _KINDS[self.valuetype], what=self.name)
        except BadInputError as error:
            raise BadValueError(f"{error.message} Send a value of type {self.valuetype}.") from error
        if isinstance(checked, (int, float)) and not isinstance(checked, bool):
            self._check_bounds(checked)
        if self.choices and checked not in self.choices:
            raise BadValueError(f"{self.name} takes one of {', '.join(self.choices)}.")
        if isinstance(checked, (str, list, dict)) and len(_encoded(checked)) > MAX_VALUE_BYTES:
            raise BadValueError(f"{self.name} takes at most {MAX_VALUE_BYTES} bytes.")
        return checked

    def from_text(self, text: str) -> Value:
        """The value in a frame or a form field: texts as they are, everything else as JSON. Raises `BadValueError`."""
        if self.valuetype in {ValueType.STR, ValueType.SCH}:
            return self.check(text)
        try:
            return self.check(codec.decode_json(text.encode("utf-8", "replace"), object, what=self.name))
        except BadInputError as error:
            raise BadValueError(error.message) from error

    def require_readable(self) -> None:
        if self.writeonly:
            raise CommandNotAllowedError(f"{self.name} can only be written. Send a value with it.")

    def require_writable(self) -> None:
        if self.readonly:
            raise CommandNotAllowedError(f"{self.name} can only be read. Send no value with it.")

    def description(self) -> dict[str, Any]:
        """The command as its type's template shows it, with a JSON Schema of its values."""
        shown: dict[str, Any] = {
            "info": self.info,
            "valuetype": self.valuetype.value,
            "unit": self.unit,
            "readonly": self.readonly,
            "writeonly": self.writeonly,
            "idempotent": self.idempotent,
            "datasource": self.datasource.value if self.datasource else None,
        }
        return shown | {"schema": self._schema()}

    def _schema(self) -> dict[str, Any]:
        low, high = self._bounds()
        found: dict[str, Any] = {"type": _SCHEMAS[self.valuetype]}
        found |= {"minimum": low} if low is not None else {}
        found |= {"maximum": high} if high is not None else {}
        return found | ({"enum": list(self.choices)} if self.choices else {})

    def _bounds(self) -> tuple[float | None, float | None]:
        low, high = _LIMITS.get(self.valuetype, (None, None))
        return (
            low if self.minimum is None else self.minimum,
            high if self.maximum is None else self.maximum,
        )

    def _check_bounds(self, number: float) -> None:
        low, high = self._bounds()
        is_fit = math.isfinite(number) and (low is None or number >= low) and (high is None or number <= high)
        if not is_fit:
            shown = " to ".join("any" if end is None else f"{end:g}" for end in (low, high))
            raise BadValueError(f"{self.name} takes finite numbers from {shown}.")


def _encoded(value: Value) -> bytes:
    try:
        return codec.encode_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadValueError("This value cannot be written as JSON.") from error
