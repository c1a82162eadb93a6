"""One scenario: how it stands, its parameters and variables, its runs and what each of them did; stop, export, remove."""

from __future__ import annotations

from typing import Any

from wayhouse.access.policy import Right
from wayhouse.automation import scenario_file
from wayhouse.automation.parameter import Kind, Parameter, Plain
from wayhouse.automation.runs import RunTrace
from wayhouse.automation.scenario_service import ScenarioManager
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, NotFoundError, WayhouseError
from wayhouse.portal.model import Answer, Page, Visit, plain_json, redirect, scenario_path
from wayhouse.portal.pages.scenarios import SCENARIO
from wayhouse.portal.scenario_rows import OUTCOMES, row_of, run_row, stamp_of
from wayhouse.portal.scenario_text import around
from wayhouse.portal.source_names import SourceNames
from wayhouse.portal.templates import Templates

RUNS = 50
STEPS_LIVE = 300
RUN = SCENARIO + "/runs/{run}"


class ScenarioPages:
    def __init__(self, scenarios: ScenarioManager, sources: SourceNames, templates: Templates) -> None:
        self._scenarios = scenarios
        self._sources = sources
        self._templates = templates

    def pages(self) -> list[Page]:
        see, automate = Right.SEE_DEVICES, Right.AUTOMATE
        return [
            Page("GET", SCENARIO, see, self.overview),
            Page("GET", SCENARIO + "/now", see, self.now),
            Page("GET", SCENARIO + "/live", see, self.live),
            Page("GET", SCENARIO + "/export", see, self.export),
            Page("POST", SCENARIO + "/stop", automate, self.stop, is_audited=True),
            Page("POST", SCENARIO + "/parameters", automate, self.configure, is_audited=True),
            Page("POST", SCENARIO + "/variables", automate, self.set_variable, is_audited=True),
            Page("POST", SCENARIO + "/remove", automate, self.remove, is_audited=True),
            Page("GET", RUN, see, self.trace),
            Page("GET", RUN + "/steps", see, self.steps),
        ]

    async def overview(self, visit: Visit) -> Answer:
        return self._overview(visit)

    async def now(self, visit: Visit) -> Answer:
        """All that moves on the page, for htmx."""
        return self._templates.page("_scenario_now.html", visit, **self._facts(visit))

    async def live(self, visit: Visit) -> Answer:
        name = visit.path["scenario"]
        view = self._scenarios.view(name)
        return plain_json({"stamp": stamp_of(view, self._scenarios.runs(name, limit=RUNS))})

    async def export(self, visit: Visit) -> Answer:
        """To give away: without what was set in this house, and asleep."""
        scenario = scenario_file.shared(self._scenarios.get(visit.path["scenario"]))
        name = scenario.name.replace(" ", "-")
        disposition = ("content-disposition", f'attachment; filename="{name}.toml"')
        text = scenario_file.write_toml(scenario)
        return Answer(text.encode(), 200, "application/toml; charset=utf-8", (disposition,))

    async def stop(self, visit: Visit) -> Answer:
        name = visit.path["scenario"]
        await self._scenarios.stop_run(name)
        return redirect(scenario_path(name))

    async def configure(self, visit: Visit) -> Answer:
        scenario = self._scenarios.get(visit.path["scenario"])
        try:
            values = values_of(visit, scenario.parameters)
            await self._scenarios.configure(scenario.name, values)
        except BadInputError as error:
            return self._overview(visit, parameter_error=error)
        return redirect(scenario_path(scenario.name))

    async def set_variable(self, visit: Visit) -> Answer:
        """An empty value takes it away."""
        name, text = visit.path["scenario"], visit.field("value")
        try:
            await self._scenarios.set_variable(name, visit.field("variable").strip(), plain(text))
        except (BadInputError, NotFoundError) as error:
            return self._overview(visit, variable_error=error)
        return redirect(scenario_path(name))

    async def remove(self, visit: Visit) -> Answer:
        name = self._scenarios.get(visit.path["scenario"]).name
        if visit.field("sure") != "yes":
            text = "Its code, its variables and its runs are deleted. This cannot be undone."
            back = scenario_path(name)
            return self._templates.page(
                "sure_remove.html", visit, what=name, text=text, back=back, here="automation"
            )
        await self._scenarios.delete(name)
        return redirect("/scenarios")

    async def trace(self, visit: Visit) -> Answer:
        return self._trace(visit, "scenario_run.html")

    async def steps(self, visit: Visit) -> Answer:
        """What the run has done so far, for htmx; it asks again while the run goes on."""
        return self._trace(visit, "_steps.html")

    def _trace(self, visit: Visit, template: str) -> Answer:
        scenario = self._scenarios.get(visit.path["scenario"])
        trace = self._scenarios.trace(visit.path["run"])
        if trace.run.scenario != scenario.name:
            raise NotFoundError("This scenario has no such run. It may have been too long ago.")
        row = run_row(trace.run)
        return self._templates.page(
            template,
            visit,
            scenario_name=scenario.name,
            row=row,
            steps=trace.steps if row.is_over else trace.steps[-STEPS_LIVE:],
            is_cut=_is_cut(trace, is_over=row.is_over),
            about=around(scenario.code, trace.run.line),
        )

    def _overview(
        self,
        visit: Visit,
        *,
        parameter_error: WayhouseError | None = None,
        variable_error: WayhouseError | None = None,
    ) -> Answer:
        error = parameter_error or variable_error
        return self._templates.page(
            "scenario.html",
            visit,
            status=error.status if error else 200,
            parameter_error=parameter_error.message if parameter_error else "",
            variable_error=variable_error.message if variable_error else "",
            sources=self._sources.all(),
            **self._facts(visit),
        )

    def _facts(self, visit: Visit) -> dict[str, Any]:
        name = visit.path["scenario"]
        view, runs = self._scenarios.view(name), self._scenarios.runs(name, limit=RUNS)
        return {
            "scenario": self._scenarios.get(name),
            "row": row_of(view),
            "runs": [run_row(run) for run in runs],
            "outcomes": OUTCOMES,
            "page_stamp": stamp_of(view, runs),
        }


def values_of(visit: Visit, parameters: dict[str, Parameter]) -> dict[str, Plain]:
    """What the form says of each parameter; an empty field leaves it at its default. Raises `BadInputError`."""
    values: dict[str, Plain] = {}
    for name, one in parameters.items():
        text = visit.field(f"p-{name}").strip()
        if text:
            values[name] = _value(name, one, text)
    return values


def plain(text: str) -> Plain | None:
    """A value as one types it: `true`, a number, or a text; None for nothing."""
    text = text.strip()
    if not text:
        return None
    try:
        found: Any = codec.decode_json(text, object)
    except BadInputError:
        return text
    return found if isinstance(found, (bool, int, float, str)) else text


def _value(name: str, parameter: Parameter, text: str) -> Plain:
    if parameter.kind is Kind.SWITCH:
        return text == "true"
    if parameter.kind is not Kind.NUMBER:
        return text
    found = plain(text)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise BadInputError(f"`{name}` is a number.", path=name)
    return found


def _is_cut(trace: RunTrace, *, is_over: bool) -> bool:
    return trace.is_cut or (not is_over and len(trace.steps) > STEPS_LIVE)
