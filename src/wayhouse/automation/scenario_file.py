"""A scenario as one file to keep and share: TOML, which people read and write, or JSON. Called by the API and the commands.

Rule: what `write` gives, `read` takes, and it is the same scenario. A shared file has no values of this house, and is not active.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from wayhouse.automation.scenario import Scenario
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, TooLargeError

FORMAT = 1
MAX_FILE = 1024 * 1024
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def shared(scenario: Scenario) -> Scenario:
    """The scenario as one would give it away: without what was set here, and asleep."""
    return msgspec.structs.replace(
        scenario, values={}, conf=msgspec.structs.replace(scenario.conf, active=False)
    )


def write_json(scenario: Scenario) -> str:
    return json.dumps(_document(scenario), indent=2, ensure_ascii=False) + "\n"


def write_toml(scenario: Scenario) -> str:
    """Code stands in its own lines; what is nested deeper than a table is written inline."""
    document = _document(scenario)
    tables = {
        key: document.pop(key) for key in list(document) if isinstance(document[key], dict) and key != "when"
    }
    lines = [
        f"{key} = {_block(value) if key == 'code' else _inline(value)}" for key, value in document.items()
    ]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{_key(key)} = {_inline(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def read(text: str) -> Scenario:
    """A scenario from TOML or JSON. Raises `BadInputError` with the place of the fault, `TooLargeError`."""
    if len(text) > MAX_FILE:
        raise TooLargeError(f"A scenario's file has at most {MAX_FILE // 1024} KiB.")
    what = "scenario"
    is_json = text.lstrip().startswith("{")
    document: dict[str, Any] = (
        codec.decode_json(text, dict[str, Any], what=what) if is_json else codec.decode_toml(text, what=what)
    )
    version = document.pop("wayhouse_scenario", None)
    if version != FORMAT or isinstance(version, bool):
        raise BadInputError(
            f"This is not a scenario's file that can be read here: it must say `wayhouse_scenario = {FORMAT}`.",
            path="wayhouse_scenario",
        )
    return codec.convert(document, Scenario, what=what)


def _document(scenario: Scenario) -> dict[str, Any]:
    document: dict[str, Any] = {"wayhouse_scenario": FORMAT, **codec.to_builtins(scenario)}
    document["conf"] = {"active": scenario.conf.active, "startup": scenario.conf.startup}
    return document


def _inline(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return _number(value)
        case str():
            return _text(value)
        case Mapping():
            return "{ " + ", ".join(f"{_key(key)} = {_inline(one)}" for key, one in value.items()) + " }"
        case _:
            return "[" + ", ".join(_inline(one) for one in value) + "]"


def _number(value: float) -> str:
    return repr(value) if isinstance(value, int) or math.isfinite(value) else ("-inf" if value < 0 else "inf")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    """A basic string of TOML: JSON's escapes are among its own, but for DEL, which it wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _block(code: str) -> str:
    """Several lines as they are, where TOML can say them so; it drops the newline after the opening quotes."""
    is_plain = all(one.isprintable() or one in "\n\t" for one in code)
    return f"'''\n{code}'''" if is_plain and "'''" not in code and not code.endswith("'") else _text(code)
