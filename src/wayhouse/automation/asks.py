"""What a scenario's code can ask for, as it comes over the wire: one struct for each call, checked when read.

Made by `sandbox_process`, answered by `calls` and, in a rehearsal, by `rehearsed_calls`. Rule: `text` is what the trace shows, in the
words of the code; `digest` tells whether a run that is repeated asks the same again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from wayhouse.automation.model import Value
from wayhouse.automation.parameter import Plain
from wayhouse.automation.runs import MAX_SHOWN
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError


class _Ask(msgspec.Struct, frozen=True, tag_field="call", forbid_unknown_fields=True):
    @property
    def call(self) -> str:
        return str(self.__struct_config__.tag)

    def text(self) -> str:
        """Such as `"lamp", "off"`."""
        return shorten(", ".join(show(getattr(self, name)) for name in self.__struct_fields__))

    def digest(self) -> bytes:
        return hashlib.blake2b(codec.encode_json(self), digest_size=16).digest()


class ValueOf(_Ask, frozen=True, tag="value"):
    entry: str


class Readings(_Ask, frozen=True, tag="readings"):
    """`end` None: now."""

    entry: str
    start: float
    end: float | None = None


class Now(_Ask, frozen=True, tag="now"):
    pass


class Command(_Ask, frozen=True, tag="command"):
    device: str
    command: str
    value: Value = None


class Publish(_Ask, frozen=True, tag="publish"):
    """`value` None takes the key away; `ttl`: seconds."""

    key: str
    value: Any = None
    ttl: float | None = None


class Start(_Ask, frozen=True, tag="start"):
    scenario: str


class AddCron(_Ask, frozen=True, tag="add_cron"):
    job: str
    schedule: str


class RemoveCron(_Ask, frozen=True, tag="remove_cron"):
    job: str


class Variable(_Ask, frozen=True, tag="variable"):
    name: str


class Variables(_Ask, frozen=True, tag="variables"):
    pass


class SetVariable(_Ask, frozen=True, tag="set_variable"):
    """`value` None takes it away."""

    name: str
    value: Plain | None = None


class WaitSeconds(_Ask, frozen=True, tag="wait"):
    seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.seconds <= 366 * 86400:
            raise ValueError("`wait` takes 0 seconds to 366 days")


class WaitUntil(_Ask, frozen=True, tag="wait_until"):
    """`time`: Unix seconds, or a time of the day such as 07:30."""

    time: float | str


class WaitFor(_Ask, frozen=True, tag="wait_for"):
    """One of the conditions, checked by the code's side."""

    entry: str
    timeout: float | None = None
    above: float | None = None
    below: float | None = None
    equals: bool | int | float | str | None = None
    changed: bool | None = None

    def text(self) -> str:
        wanted = ("above", "below", "equals", "changed", "timeout")
        found = [f"{name}={show(one)}" for name in wanted if (one := getattr(self, name)) is not None]
        return shorten(", ".join([show(self.entry), *found]))

    def is_met(self, value: Value, before: Value) -> bool:
        """By `value`; `before`: what it was when the wait began."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if self.above is not None:
            return is_number and value > self.above  # type: ignore[operator]
        if self.below is not None:
            return is_number and value < self.below  # type: ignore[operator]
        if self.equals is not None:
            return isinstance(value, bool) == isinstance(self.equals, bool) and value == self.equals
        return value is not None and before is not None and value != before


Looking = ValueOf | Readings | Now | Variable | Variables
Waiting = WaitSeconds | WaitUntil | WaitFor
Ask = Looking | Waiting | Command | Publish | Start | AddCron | RemoveCron | SetVariable


def shorten(text: str) -> str:
    """For a trace."""
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def show(value: Any) -> str:
    """As Python would write it, quoted like JSON."""
    if isinstance(value, str):
        return json.dumps(value[: MAX_SHOWN + 1], ensure_ascii=False)
    return shorten(repr(value))


def entry_of(entries: Mapping[str, str], name: str) -> str:
    """The source of an entry. Raises `BadInputError`."""
    try:
        return entries[name]
    except KeyError:
        known = ", ".join(sorted(entries)) or "none"
        raise BadInputError(f"There is no entry `{name[:64]}`. Entries are: {shorten(known)}.") from None
