"""Parameters of a scenario: what whoever takes it over sets instead of changing its code. Used by `scenario` and its form.

Rule: a value is of the parameter's kind and within its bounds, or it is refused with the parameter's name.
"""

from __future__ import annotations

import enum
import math

import msgspec

from wayhouse.automation.model import MAX_INTEGER
from wayhouse.base.errors import BadInputError

MAX_TEXT = 4096
Plain = bool | int | float | str


class Kind(enum.StrEnum):
    NUMBER = "number"
    TEXT = "text"
    SWITCH = "switch"
    SOURCE = "source"
    """The name of a source of values, such as a sensor."""


class Parameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Without `default` whoever takes the scenario over must give a value."""

    kind: Kind
    default: Plain | None = None
    description: str = ""
    min: float | None = None
    max: float | None = None
    choices: tuple[Plain, ...] = ()

    def __post_init__(self) -> None:
        if (self.min is not None or self.max is not None) and self.kind is not Kind.NUMBER:
            raise BadInputError("Only a number has a `min` and a `max`.", path="min")
        for value in (*self.choices, *(() if self.default is None else (self.default,))):
            self.check("default", value)

    def check(self, name: str, value: Plain) -> Plain:
        """The value, if it fits. Raises `BadInputError`."""
        wanted: tuple[type, ...] = {Kind.NUMBER: (int, float), Kind.SWITCH: (bool,)}.get(self.kind, (str,))
        fits = isinstance(value, wanted) and (self.kind is Kind.SWITCH or not isinstance(value, bool))
        if not fits or (isinstance(value, str) and len(value) > MAX_TEXT):
            raise BadInputError(f"The parameter `{name}` takes a {self.kind}.", path=name)
        if self.kind is Kind.NUMBER and not self._is_within(value):
            raise BadInputError(f"The parameter `{name}` takes a number {self._bounds()}.", path=name)
        if self.choices and value not in self.choices:
            raise BadInputError(
                f"The parameter `{name}` takes one of {', '.join(map(str, self.choices[:20]))}.", path=name
            )
        return value

    def _is_within(self, value: Plain) -> bool:
        if not isinstance(value, int | float) or (isinstance(value, int) and abs(value) > MAX_INTEGER):
            return False
        low = -math.inf if self.min is None else self.min
        high = math.inf if self.max is None else self.max
        return math.isfinite(value) and low <= value <= high

    def _bounds(self) -> str:
        low = "" if self.min is None else f"of at least {self.min:g}"
        high = "" if self.max is None else f"of at most {self.max:g}"
        return " and ".join(filter(None, (low, high))) or "that is finite"
