"""A scenario: what to watch, when to run, and the code that runs. Its definition alone; whoever runs it is elsewhere.

Used by the API, the store and `scenario_file`. Rule: a scenario that exists is sound: its code is Python that parses, each name that
it watches is an entry of it, each schedule is one. Field names are RasPy's: `conf`, `entries`, `code`.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping

import msgspec

from wayhouse.automation.condition import AtMost, Condition, check, sources
from wayhouse.automation.model import check_name, names
from wayhouse.automation.parameter import Parameter, Plain
from wayhouse.automation.schedule import parse
from wayhouse.base.errors import BadInputError, TooLargeError

MAX_CODE = 256 * 1024
MAX_ENTRIES = 100
MAX_TEXT = 4096


class Conf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`active`: it may run at all; `startup`: it runs when the gateway has started."""

    active: bool = False
    startup: bool = False


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`entries` gives sources friendly names, which `when` and the code use; `values` are what parameters are set to here.

    Without `when` and `schedules` it runs when an entry changes. Raises `BadInputError` and `TooLargeError` when made.
    """

    name: str
    description: str = ""
    conf: Conf = Conf()
    entries: dict[str, str] = {}
    parameters: dict[str, Parameter] = {}
    values: dict[str, Plain] = {}
    when: Condition | None = None
    at_most: AtMost | None = None
    schedules: tuple[str, ...] = ()
    code: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "scenario")
        _check_sizes(self)
        _check_entries(self)
        for line in self.schedules:
            parse(line)
        _check_values(self.parameters, self.values)
        check_code(self.code)

    @property
    def is_ready(self) -> bool:
        """Whether each parameter has a value."""
        return all(name in self.values or one.default is not None for name, one in self.parameters.items())

    def settings(self) -> dict[str, Plain]:
        """What the code gets: each parameter's value. Raises `BadInputError` while one is missing."""
        found: dict[str, Plain] = {}
        for name, one in self.parameters.items():
            value = self.values.get(name, one.default)
            if value is None:
                raise BadInputError(
                    f"The parameter `{name}` of `{self.name}` has no value yet: set it.", path=name
                )
            found[name] = value
        return found


def check_code(code: str) -> None:
    """Raises `BadInputError` with the line where it is not Python, `TooLargeError`."""
    if len(code) > MAX_CODE:
        raise TooLargeError(f"The code of a scenario has at most {MAX_CODE // 1024} KiB.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except SyntaxError as error:
        raise BadInputError(
            f"The code is not Python: line {error.lineno}: {error.msg}.", path="code"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadInputError(
            "The code is not Python: it has zero bytes or is nested too deeply.", path="code"
        ) from error


def _check_sizes(scenario: Scenario) -> None:
    counted = (scenario.entries, scenario.parameters, scenario.values, scenario.schedules)
    if max(len(one) for one in counted) > MAX_ENTRIES or len(scenario.description) > MAX_TEXT:
        raise TooLargeError(f"A scenario has at most {MAX_ENTRIES} entries, parameters and schedules each.")


def _check_entries(scenario: Scenario) -> None:
    for name, source in scenario.entries.items():
        check_name(name, "entry")
        if not source or len(source) > MAX_TEXT or not source.isprintable():
            raise BadInputError(f"The entry `{name}` names no source.", path=f"entries.{name}")
    if scenario.when is None:
        return
    check(scenario.when)
    unknown = sorted(sources(scenario.when) - set(scenario.entries))
    if unknown:
        raise BadInputError(f"`when` looks at {names(unknown)}: add each to the entries.", path="when")


def _check_values(parameters: Mapping[str, Parameter], values: Mapping[str, Plain]) -> None:
    for name in parameters:
        if not name.isidentifier():
            raise BadInputError(
                f"A parameter is named like a variable of Python, not {name[:64]!r}.", path="parameters"
            )
    for name, value in values.items():
        if name not in parameters:
            raise BadInputError(
                f"There is no parameter `{name[:64]}`. There are: {names(list(parameters))}.", path="values"
            )
        parameters[name].check(name, value)
