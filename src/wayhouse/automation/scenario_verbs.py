"""The verbs of `<hostname>.core.scenario` (what one does) and `<hostname>.core.scenarios` (which there are). Called by `verbs.services`.

`<hostname>.core.scenario`:

| verb | further frames | answer before [200] |
|---|---|---|
| info | (scenario) | one as JSON: its state, run, values; without a name, RasPy's answer: the names as JSON |
| run, stop | scenario | the run as JSON |
| get | scenario, (variable) | the variable's value, or all as JSON |
| set | scenario, variable, (value) | the value; without one the variable goes |
| enable | scenario, (true or false) | the scenario as `info` has it |

`<hostname>.core.scenarios`; a file is TOML or JSON, `entries` and `conf` are JSON:

| verb | further frames | answer before [200] |
|---|---|---|
| list_keys | | the names in one frame, joined by a bar; none if there are none |
| list | | all scenarios as JSON by name, with their code |
| add | file; or RasPy's: scenario, entries, code, (conf) | the scenario's name |
| update | scenario, file; or RasPy's: scenario, entries, code, (conf) | the scenario's name |
| delete | scenario | |
| export | (scenario), (toml, json or store) | the file; without a name all of them in RasPy's store form |
| import | file or store, (true: as it was, not asleep) | `{"added": [...], "refused": {...}}` |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from wayhouse.automation import scenario_file, store_form
from wayhouse.automation.importing import take_in
from wayhouse.automation.scenario import Conf, Scenario
from wayhouse.automation.verbs import Verbs, flag_of, joined, shown, value_of
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, NotFoundError

if TYPE_CHECKING:
    from wayhouse.automation.scenario_service import ScenarioManager


class ScenarioVerbs(Verbs):
    def __init__(self, scenarios: ScenarioManager) -> None:
        self._scenarios = scenarios
        super().__init__(
            {
                "info": (0, 1, self._info),
                "run": (1, 1, self._run),
                "stop": (1, 1, self._stop),
                "get": (1, 2, self._get),
                "set": (2, 3, self._set),
                "enable": (1, 2, self._enable),
            }
        )

    async def _info(self, frames: list[str]) -> list[bytes]:
        return _json(self._scenarios.view(frames[0]) if frames else self._scenarios.list_keys())

    async def _run(self, frames: list[str]) -> list[bytes]:
        return _json(await self._scenarios.run(frames[0]))

    async def _stop(self, frames: list[str]) -> list[bytes]:
        return _json(await self._scenarios.stop_run(frames[0]))

    async def _get(self, frames: list[str]) -> list[bytes]:
        found = self._scenarios.variables(frames[0])
        if len(frames) == 1:
            return _json(found)
        if frames[1] not in found:
            raise NotFoundError(f"The scenario {frames[0]} has no variable {frames[1][:64]!r}.")
        return [shown(found[frames[1]])]

    async def _set(self, frames: list[str]) -> list[bytes]:
        value = value_of(frames[2]) if len(frames) > 2 else None
        await self._scenarios.set_variable(frames[0], frames[1], value)
        return [] if value is None else [shown(value)]

    async def _enable(self, frames: list[str]) -> list[bytes]:
        active = flag_of(frames[1]) if len(frames) > 1 else True
        return _json(await self._scenarios.enable(frames[0], active=active))


class ScenariosVerbs(Verbs):
    def __init__(self, scenarios: ScenarioManager) -> None:
        self._scenarios = scenarios
        super().__init__(
            {
                "list_keys": (0, 0, self._list_keys),
                "list": (0, 0, self._list),
                "add": (1, 4, self._add),
                "update": (2, 4, self._update),
                "delete": (1, 1, self._delete),
                "export": (0, 2, self._export),
                "import": (1, 2, self._import),
            }
        )

    async def _list_keys(self, _: list[str]) -> list[bytes]:
        return joined(self._scenarios.list_keys())

    async def _list(self, _: list[str]) -> list[bytes]:
        return _json(self._scenarios.scenarios)

    async def _add(self, frames: list[str]) -> list[bytes]:
        if len(frames) == 1:
            scenario = scenario_file.read(frames[0])
        else:
            scenario = _as_raspy(Scenario(name=frames[0]), frames)
        return [(await self._scenarios.add(scenario)).name.encode()]

    async def _update(self, frames: list[str]) -> list[bytes]:
        if len(frames) == 2:
            scenario = scenario_file.read(frames[1])
        else:
            scenario = _as_raspy(self._scenarios.get(frames[0]), frames)
        return [(await self._scenarios.update(frames[0], scenario)).name.encode()]

    async def _delete(self, frames: list[str]) -> list[bytes]:
        await self._scenarios.delete(frames[0])
        return []

    async def _export(self, frames: list[str]) -> list[bytes]:
        if not frames:
            return _json(store_form.write(list(self._scenarios.scenarios.values())))
        scenario = self._scenarios.get(frames[0])
        form = frames[1] if len(frames) > 1 else "toml"
        if form == "store":
            return _json(store_form.write([scenario]))
        if form not in {"toml", "json"}:
            raise BadInputError(f"The form is `toml`, `json` or `store`, not {form[:40]!r}.")
        write = scenario_file.write_toml if form == "toml" else scenario_file.write_json
        return [write(scenario_file.shared(scenario)).encode()]

    async def _import(self, frames: list[str]) -> list[bytes]:
        as_it_was = flag_of(frames[1]) if len(frames) > 1 else False
        return _json(await take_in(self._scenarios, frames[0], as_it_was=as_it_was))


def _as_raspy(scenario: Scenario, frames: list[str]) -> Scenario:
    """`scenario` with the entries and the code of RasPy's `add` and `update`, and its conf if it is given."""
    if len(frames) < 3:
        raise BadInputError("Send a scenario's file in one frame, or its name, entries, code and conf.")
    entries = codec.decode_json(frames[1], dict[str, str], what="entries")
    scenario = msgspec.structs.replace(scenario, entries=entries, code=frames[2])
    if len(frames) > 3:
        scenario = msgspec.structs.replace(scenario, conf=codec.decode_json(frames[3], Conf, what="conf"))
    return scenario


def _json(value: Any) -> list[bytes]:
    return [codec.encode_json(value)]
