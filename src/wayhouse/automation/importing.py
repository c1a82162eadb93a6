"""Scenarios from outside: one file in TOML or JSON, or a whole store in RasPy's form. Called by the API and the verbs on the bus.

Rule: what comes in is asleep, whatever it says of itself, unless the importer wants it as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from wayhouse.automation import scenario_file, store_form
from wayhouse.automation.scenario import Scenario
from wayhouse.base.errors import WayhouseError

if TYPE_CHECKING:
    from wayhouse.automation.scenario_service import ScenarioManager


class Imported(msgspec.Struct, frozen=True):
    """`added`: names, also of those that were replaced; `refused`: by name, why."""

    added: list[str]
    refused: dict[str, str] = {}


async def take_in(
    scenarios: ScenarioManager, text: str, *, as_it_was: bool = False, replace: bool = False
) -> Imported:
    """Of one file every fault is raised: `BadInputError`, `TooLargeError`, `ScenarioExistsError` without `replace`. Of a store, what is
    good is taken and the rest is told."""
    if not store_form.is_store(text):
        scenario = scenario_file.read(text)
        return Imported([await _add(scenarios, scenario, as_it_was=as_it_was, replace=replace)])
    found = store_form.read_text(text)
    added, refused = list[str](), dict(found.refused)
    for one in found.scenarios:
        try:
            added.append(await _add(scenarios, one, as_it_was=as_it_was, replace=replace))
        except WayhouseError as error:
            refused[one.name] = error.message
    return Imported(added, refused)


async def _add(scenarios: ScenarioManager, scenario: Scenario, *, as_it_was: bool, replace: bool) -> str:
    if not as_it_was:
        asleep = msgspec.structs.replace(scenario.conf, active=False)
        scenario = msgspec.structs.replace(scenario, conf=asleep)
    if replace and scenario.name in scenarios.scenarios:
        await scenarios.update(scenario.name, scenario)
    else:
        await scenarios.add(scenario)
    return scenario.name
