"""Scenarios: what they are, how they do, their runs with every step, rehearsals, and files to share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wayhouse.access.policy import Right
from wayhouse.api import bodies, wire
from wayhouse.api import wire_automation as words
from wayhouse.api.resources.scenario_streams import ScenarioStreams
from wayhouse.api.table import Call, Channel, Reply, Rows, endpoint
from wayhouse.automation import scenario_file, store_form
from wayhouse.automation.importing import Imported, take_in
from wayhouse.automation.parameter import Plain
from wayhouse.automation.runs import MAX_RUNS, Rehearsal, RunSummary, RunTrace, ScenarioView
from wayhouse.automation.scenario import Scenario
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.automation.scenario_service import ScenarioManager
    from wayhouse.base.events import Events

SCENARIOS = "/api/v1/scenarios"
SCENARIO = "/api/v1/scenarios/{name}"
RUNS = "/api/v1/runs"
MOST_STORE = 4 * 1024 * 1024
FORMS = ("toml", "json", "store")


class ScenarioResource(ScenarioStreams):
    def __init__(self, scenarios: ScenarioManager, events: Events) -> None:
        super().__init__(scenarios, events)
        self._scenarios = scenarios

    async def index(self, call: Call) -> list[ScenarioView]:
        return list(self._scenarios.list())

    async def create(self, call: Call) -> ScenarioView:
        return await self._scenarios.add(call.body(Scenario))

    async def get(self, call: Call) -> words.ScenarioDetail:
        name = call.path["name"]
        return words.ScenarioDetail(view=self._scenarios.view(name), scenario=self._scenarios.get(name))

    async def update(self, call: Call) -> ScenarioView:
        return await self._scenarios.update(call.path["name"], call.body(Scenario))

    async def delete(self, call: Call) -> wire.Success:
        await self._scenarios.delete(call.path["name"])
        return wire.Success(True)

    async def enable(self, call: Call) -> ScenarioView:
        return await self._scenarios.enable(call.path["name"], active=True)

    async def disable(self, call: Call) -> ScenarioView:
        return await self._scenarios.enable(call.path["name"], active=False)

    async def run(self, call: Call) -> RunSummary:
        return await self._scenarios.run(call.path["name"])

    async def stop(self, call: Call) -> RunSummary:
        return await self._scenarios.stop_run(call.path["name"])

    async def configure(self, call: Call) -> ScenarioView:
        return await self._scenarios.configure(call.path["name"], call.body(dict))

    async def variables(self, call: Call) -> dict[str, Plain]:
        return self._scenarios.variables(call.path["name"])

    async def set_variable(self, call: Call) -> dict[str, Plain]:
        value = call.body(words.VariableValue).value
        await self._scenarios.set_variable(call.path["name"], call.path["variable"], value)
        return self._scenarios.variables(call.path["name"])

    async def delete_variable(self, call: Call) -> dict[str, Plain]:
        await self._scenarios.set_variable(call.path["name"], call.path["variable"], None)
        return self._scenarios.variables(call.path["name"])

    async def runs(self, call: Call) -> list[RunSummary]:
        return self._scenarios.runs(limit=_limit(call))

    async def runs_of(self, call: Call) -> list[RunSummary]:
        self._scenarios.get(call.path["name"])
        return self._scenarios.runs(call.path["name"], limit=_limit(call))

    async def trace(self, call: Call) -> RunTrace:
        return self._scenarios.trace(call.path["run"])

    async def export(self, call: Call) -> Reply:
        scenario = self._scenarios.get(call.path["name"])
        form = call.query.get("format", "toml")
        if not call.query_number("whole", 0, most=1):
            scenario = scenario_file.shared(scenario)
        if form == "toml":
            return Reply(scenario_file.write_toml(scenario).encode(), media="application/toml")
        if form not in FORMS:
            raise BadInputError(f"`format` is one of {', '.join(FORMS)}.", path="format")
        text = codec.encode_json(store_form.write([scenario])).decode()
        return Reply((scenario_file.write_json(scenario) if form == "json" else text).encode())

    async def take_in(self, call: Call) -> Imported:
        if call.chunks is None:
            raise BadInputError("Send the scenario's file as the body.")
        data = await bodies.gather(call.chunks, most=MOST_STORE)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise BadInputError("A scenario's file is UTF-8 text.") from error
        as_it_was = bool(call.query_number("as_it_was", 0, most=1))
        replace = bool(call.query_number("replace", 0, most=1))
        return await take_in(self._scenarios, text, as_it_was=as_it_was, replace=replace)

    async def rehearse(self, call: Call) -> Rehearsal:
        order = call.body(words.RehearsalOrder)
        scenario: Any = order.scenario if order.name is None else order.name
        if scenario is None or (order.scenario is not None and order.name is not None):
            raise BadInputError("Give `name`, or a whole `scenario`; not both.", path="name")
        return await self._scenarios.rehearse(scenario, order.start, order.end)


def _limit(call: Call) -> int:
    return call.query_number("limit", 50, most=MAX_RUNS) or 0


_R = ScenarioResource
_HOW_MANY = {"limit": "How many, 50 if not given"}
SEE, AUTOMATE = Right.SEE_DEVICES, Right.AUTOMATE
LIST = endpoint("GET", SCENARIOS, SEE, "Scenarios, by name", _R.index, reply=list[ScenarioView])
CREATE = endpoint("POST", SCENARIOS, AUTOMATE, "Add a scenario", _R.create, body=Scenario, reply=ScenarioView)
GET = endpoint("GET", SCENARIO, SEE, "One scenario, with its code", _R.get, reply=words.ScenarioDetail)
UPDATE = endpoint(
    "PUT",
    SCENARIO,
    AUTOMATE,
    "Another in its place, or its name",
    _R.update,
    body=Scenario,
    reply=ScenarioView,
)
DELETE = endpoint(
    "DELETE", SCENARIO, AUTOMATE, "Remove it, with its runs and variables", _R.delete, reply=wire.Success
)
ENABLE = endpoint("POST", SCENARIO + "/enable", AUTOMATE, "It may run", _R.enable, reply=ScenarioView)
DISABLE = endpoint("POST", SCENARIO + "/disable", AUTOMATE, "It sleeps", _R.disable, reply=ScenarioView)
RUN = endpoint("POST", SCENARIO + "/run", AUTOMATE, "Run it now", _R.run, reply=RunSummary)
STOP = endpoint("POST", SCENARIO + "/stop", AUTOMATE, "Stop its run", _R.stop, reply=RunSummary)
CONFIGURE = endpoint(
    "PUT", SCENARIO + "/values", AUTOMATE, "Set its parameters", _R.configure,
    body=dict[str, Plain], reply=ScenarioView,
)  # fmt: skip
VARIABLES = endpoint(
    "GET", SCENARIO + "/variables", SEE, "What it remembers", _R.variables, reply=dict[str, Plain]
)
SET_VARIABLE = endpoint(
    "PUT", SCENARIO + "/variables/{variable}", AUTOMATE, "Set one of its variables", _R.set_variable,
    body=words.VariableValue, reply=dict[str, Plain],
)  # fmt: skip
DELETE_VARIABLE = endpoint(
    "DELETE", SCENARIO + "/variables/{variable}", AUTOMATE, "Let it forget one", _R.delete_variable,
    reply=dict[str, Plain],
)  # fmt: skip
RUNS_OF = endpoint(
    "GET", SCENARIO + "/runs", SEE, "Its runs, newest first", _R.runs_of,
    reply=list[RunSummary], query=_HOW_MANY,
)  # fmt: skip
ALL_RUNS = endpoint(
    "GET", RUNS, SEE, "Runs of all scenarios, newest first", _R.runs, reply=list[RunSummary], query=_HOW_MANY
)
TRACE = endpoint("GET", RUNS + "/{run}", SEE, "One run, step by step", _R.trace, reply=RunTrace)
EXPORT = endpoint(
    "GET", SCENARIO + "/export", SEE, "It as a file to keep or share", _R.export,
    reply=str, reply_media="application/toml",
    query={"format": "`toml` if not given, `json`, or `store` (RasPy's)", "whole": "1: with what was set here"},
)  # fmt: skip
IMPORT = endpoint(
    "POST", SCENARIOS + "/import", AUTOMATE, "Take scenarios from a file in any of these forms", _R.take_in,
    reply=Imported, raw=True,
    query={"as_it_was": "1: it may be active at once", "replace": "1: in place of those of the same name"},
)  # fmt: skip
REHEARSE = endpoint(
    "POST", SCENARIOS + "/rehearse", AUTOMATE, "What it would have done with the values of the past", _R.rehearse,
    body=words.RehearsalOrder, reply=Rehearsal,
)  # fmt: skip
FOLLOW = Channel(
    path="/ws/scenarios/{name}", right=SEE, summary="How it does, live", opener=_R.follow, frame=words.ScenarioFrame
)  # fmt: skip
FOLLOW_RUN = Channel(
    path="/ws/runs/{run}", right=SEE, summary="The steps of a run, from the first to the last", opener=_R.follow_run,
    frame=words.RunFrame, resumes=True,
)  # fmt: skip

ROWS: Rows = (
    LIST, CREATE, GET, UPDATE, DELETE, ENABLE, DISABLE, RUN, STOP, CONFIGURE, VARIABLES, SET_VARIABLE, DELETE_VARIABLE,
    RUNS_OF, ALL_RUNS, TRACE, EXPORT, IMPORT, REHEARSE, FOLLOW, FOLLOW_RUN,
)  # fmt: skip
