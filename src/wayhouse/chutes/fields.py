"""Reading a mapping of a specification field by field: every fault becomes a `BadSpecError` with the path of its place.

`Fields` is used by all files that read specifications. It knows the spellings that ParaDrop's documents and code use
for one key, treats null as absent, and notes the keys that nobody asked for, which old chutes carry freely.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from wayhouse.chutes import names
from wayhouse.chutes.model import BadSpecError, Environment

SPELLINGS: dict[str, tuple[str, ...]] = {
    "as-root": ("as_root",),
    "network-mode": ("network_mode",),
    "port-bindings": ("port_bindings",),
    "cpu-fraction": ("cpu_fraction",),
    "prioritize-traffic": ("prioritize_traffic",),
    "requests": ("requirements",),
    "lease": ("leasetime",),
    "vlan_id": ("vlan-id",),
    "ipv4_network": ("ipv4-network",),
    "image_source": ("image-source",),
    "image_version": ("image-version",),
    "host_config": ("host-config",),
}
"""The key as the document writes it, and what else is accepted on input."""

MAX_TEXT = 64 * 1024
MAX_ENTRIES = 4096
MAX_WARNINGS = 50
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_DIGITS = re.compile(r"[0-9]{1,9}")


def fault(path: str, text: str) -> BadSpecError:
    return BadSpecError(f"`{path}` {text}" if path else f"The specification {text}", path=path)


def below(path: str, key: object) -> str:
    name = key if isinstance(key, str) and len(key) <= 64 else ascii(key)[:64]
    name = _CONTROL.sub("?", name.encode("utf-8", "replace").decode())
    return f"{path}.{name}" if path else name


class Fields:
    """One mapping. `warnings` is shared by all sections of a document; call `finish` when all keys have been asked for."""

    def __init__(self, value: Any, path: str, warnings: list[str]) -> None:
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise fault(path, f"must be a mapping of keys to values, not {kind_of(value)}")
        if len(value) > MAX_ENTRIES:
            raise fault(path, f"has more than {MAX_ENTRIES} entries")
        self._data = value
        self.path = path
        self.warnings = warnings
        self._asked: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self.take(name)[0] is not None

    def take(self, name: str) -> tuple[Any, str]:
        """The value of `name` in any spelling, None if absent, and its path as it was written."""
        spellings = (name, *SPELLINGS.get(name, ()))
        self._asked.update(spellings)
        for spelling in spellings:
            if self._data.get(spelling) is not None:
                return self._data[spelling], below(self.path, spelling)
        return None, below(self.path, name)

    def ignore(self, *keys: str) -> None:
        """These are known and mean nothing here."""
        self._asked.update(keys)

    def finish(self) -> None:
        for key in self._data:
            if key not in self._asked:
                self.warn(f"`{below(self.path, key)}` is not known and is ignored")

    def raw(self) -> Mapping[Any, Any]:
        """The mapping as it was given."""
        return self._data

    def pairs(self) -> list[tuple[Any, Any, str]]:
        """Every key with its value and path, of whatever type the key is."""
        return [(key, value, below(self.path, key)) for key, value in self._data.items()]

    def rest(self) -> list[str]:
        """The keys that nobody asked for yet; one that is not text is a fault."""
        keys = [key for key in self._data if key not in self._asked]
        for key in keys:
            if not isinstance(key, str):
                raise fault(below(self.path, key), "must have a name that is text; put it in quotes")
        return keys

    def warn(self, text: str) -> None:
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(text)

    def section(self, name: str) -> Fields:
        value, path = self.take(name)
        return Fields(value, path, self.warnings)

    def named(self, name: str) -> Iterator[tuple[str, Any, str]]:
        """The entries of a mapping whose keys are names that the author chose, each with its path."""
        value, path = self.take(name)
        for key, entry, place in Fields(value, path, self.warnings).pairs():
            if not isinstance(key, str):
                raise fault(place, "must have a name that is text; put it in quotes")
            yield key, entry, place

    def text(self, name: str, *, limit: int = 1024) -> str | None:
        value, path = self.take(name)
        return None if value is None else text(value, path, limit=limit)

    def matching(self, name: str, pattern: re.Pattern[str], rule: str) -> str | None:
        value, path = self.take(name)
        return None if value is None else matching(value, path, pattern, rule)

    def flag(self, name: str) -> bool | None:
        value, path = self.take(name)
        return None if value is None else flag(value, path)

    def whole(self, name: str, low: int, high: int) -> int | None:
        value, path = self.take(name)
        return None if value is None else whole(value, path, low, high)

    def number(self, name: str, low: float, high: float) -> float | None:
        value, path = self.take(name)
        return None if value is None else number(value, path, low, high)

    def port(self, name: str) -> int | None:
        return self.whole(name, 1, 65535)

    def items(self, name: str) -> list[tuple[Any, str]]:
        """The entries of a list, each with its path."""
        value, path = self.take(name)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise fault(path, f"must be a list, not {kind_of(value)}")
        if len(value) > MAX_ENTRIES:
            raise fault(path, f"has more than {MAX_ENTRIES} entries")
        return [(entry, f"{path}[{index}]") for index, entry in enumerate(value)]

    def addresses(self, name: str) -> tuple[str, ...]:
        return tuple(address(value, path) for value, path in self.items(name))

    def environment(self, name: str = "environment") -> Environment:
        """Variables, always a new mapping. Numbers keep their digits, true and false are lower-case, null is ""."""
        return {
            variable: _value(value, path)
            for variable, value, path in self.named(name)
            if matching(variable, path, names.VARIABLE, "must be a variable name without spaces and `=`")
        }


def kind_of(value: Any) -> str:
    """What a person calls it."""
    kinds = {
        dict: "a mapping",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return "nothing" if value is None else kinds.get(type(value), f"a {type(value).__name__}")


def text(value: Any, path: str, *, limit: int = 1024, lines: bool = False) -> str:
    """Text that can be stored and sent; `lines` allows line breaks, tabs and other control characters except NUL."""
    if not isinstance(value, str):
        raise fault(path, f"must be text, not {kind_of(value)}; put it in quotes")
    if len(value) > limit:
        raise fault(path, f"is longer than {limit} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise fault(path, "holds characters that are not valid Unicode") from None
    if "\x00" in value or (not lines and _CONTROL.search(value)):
        raise fault(path, "holds a line break or another control character")
    return value


def matching(value: Any, path: str, pattern: re.Pattern[str], rule: str) -> str:
    if not pattern.fullmatch(found := text(value, path)):
        raise fault(path, rule)
    return found


def flag(value: Any, path: str) -> bool:
    if isinstance(value, bool) or (type(value) is int and value in {0, 1}):
        return bool(value)
    raise fault(path, f"must be true or false, not {kind_of(value)}")


def whole(value: Any, path: str, low: int, high: int) -> int:
    """A whole number, or its digits as text (JSON keys and old chutes write them so)."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is not int:
        raise fault(path, f"must be a whole number, not {kind_of(value)}")
    if not low <= value <= high:
        raise fault(path, f"must be between {low} and {high}")
    return value


def number(value: Any, path: str, low: float, high: float) -> float:
    if type(value) not in {int, float}:
        raise fault(path, f"must be a number, not {kind_of(value)}")
    if not low <= value <= high:
        raise fault(path, f"must be between {low:g} and {high:g}")
    return float(value)


def address(value: Any, path: str) -> str:
    if not names.is_address(found := text(value, path)):
        raise fault(path, "must be an IP address such as 10.0.0.1")
    return found


def scalar(value: Any, path: str) -> str | int | float | bool:
    """One value of free form: short text, a number of at most 64 bits, true or false."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, bool):
        return value
    if type(value) is int and abs(value) < 2**63:
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) in {int, float}:
        raise fault(path, "is a number too large to keep; put it in quotes")
    return text(value, path)


def _value(value: Any, path: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return text(value, path, limit=MAX_TEXT, lines=True)
    if isinstance(value, dict | list):
        raise fault(path, f"must be text or a number, not {kind_of(value)}")
    plain = scalar(value, path)
    return str(plain).lower() if isinstance(plain, bool) else str(plain)
