"""A scenario as two texts for an editor: its head in TOML and its code in Python; and where in them a fault is. Pure.

Rule: what `apart` gives, `together` takes, and it is the same scenario.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from wayhouse.automation import scenario_file
from wayhouse.automation.scenario import Scenario
from wayhouse.base.errors import BadInputError, TooLargeError, WayhouseError

Part = Literal["head", "code"]

NEW_HEAD = f"""\
wayhouse_scenario = {scenario_file.FORMAT}
name = "New scenario"
description = ""
# It runs when this comes true; without it, whenever an entry changes:
# when = {{ is = "above", source = "temperature", value = 25.0 }}
# It runs at these times, too:
# schedules = ["@sunset-00:30"]

[conf]
active = false
startup = false

# Names for what it watches: a device, one of its commands, a cron job, a key.
[entries]
# temperature = "device:boiler"
"""
NEW_CODE = 'log("Hello from", name, "because of", cause)\n'
_LINE = re.compile(r"\bline (\d{1,6})\b")

_UNKNOWN = re.compile(r"unknown field `([^`]+)`")


class Fault(msgspec.Struct, frozen=True):
    """What is wrong, in which text, and in which line of it, if that is known."""

    message: str
    part: Part
    line: int | None


def apart(scenario: Scenario) -> tuple[str, str]:
    """(head, code)."""
    return scenario_file.write_toml(msgspec.structs.replace(scenario, code="")), scenario.code


def together(head: str, code: str) -> Scenario:
    """Code in the head counts where the code itself is empty, so that a whole file can be pasted there.

    Raises `FaultyError` with the place.
    """
    head, code = head.replace("\r\n", "\n"), code.replace("\r\n", "\n")
    try:
        scenario = scenario_file.read(head)
    except (BadInputError, TooLargeError) as error:
        raise FaultyError(_fault(error, head, "head")) from error
    if not code.strip():
        return scenario
    try:
        return msgspec.structs.replace(scenario, code=code)
    except (BadInputError, TooLargeError) as error:
        raise FaultyError(_fault(error, head, "code")) from error


class FaultyError(BadInputError):
    """What was typed is no scenario; `fault` says where."""

    code = "faulty-scenario"
    title = "This is no scenario yet"

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def around(code: str, line: int | None, many: int = 2) -> list[tuple[int, str]]:
    """The lines about `line`, each with its number; none when the code has no such line."""
    lines = code.splitlines()
    if line is None or not 1 <= line <= len(lines):
        return []
    first = max(1, line - many)
    return list(enumerate(lines[first - 1 : line + many], first))


def _fault(error: WayhouseError, head: str, part: Part) -> Fault:
    """A number that the message gives, or the line that begins with the name of the faulty field."""
    said = _LINE.search(error.message)
    if said is not None:
        return Fault(error.message, part, int(said[1]))
    if part == "code":
        return Fault(error.message, part, None)
    unknown = _UNKNOWN.search(error.message)
    path = unknown[1] if unknown is not None else str(error.fields.get("path", ""))
    return Fault(error.message, part, _line_of(path, head))


def _line_of(path: str, head: str) -> int | None:
    names = [name for name in re.split(r"[.\[\]`$]+", path) if name]
    for name in reversed(names):
        begins = re.compile(rf"\s*\[?[\"']?{re.escape(name)}\b")
        for number, line in enumerate(head.splitlines(), 1):
            if begins.match(line):
                return number
    return None
