"""Writing a scenario: head and code as text, checked as they are typed, rehearsed against recorded history, saved."""

from __future__ import annotations

from typing import Any

from wayhouse.access.policy import Right
from wayhouse.automation.runs import Rehearsal
from wayhouse.automation.scenario_service import ScenarioManager
from wayhouse.base.errors import BadInputError, ConflictError, WayhouseError
from wayhouse.portal.model import Answer, Page, Visit, plain_json, redirect, scenario_path
from wayhouse.portal.pages.scenarios import SCENARIO
from wayhouse.portal.scenario_rows import OUTCOMES, because
from wayhouse.portal.scenario_text import NEW_CODE, NEW_HEAD, Fault, FaultyError, apart, together
from wayhouse.portal.source_names import SourceNames
from wayhouse.portal.templates import Templates

DAY_S = 86_400.0
SPANS = {
    "day": ("the last day", DAY_S),
    "week": ("the last week", 7 * DAY_S),
    "month": ("the last month", 30 * DAY_S),
}


class ScenarioEditorPages:
    def __init__(self, scenarios: ScenarioManager, sources: SourceNames, templates: Templates) -> None:
        self._scenarios = scenarios
        self._sources = sources
        self._templates = templates

    def pages(self) -> list[Page]:
        automate = Right.AUTOMATE
        return [
            Page("GET", "/scenarios-new", automate, self.blank),
            Page("POST", "/scenarios-new", automate, self.add, is_audited=True),
            Page("POST", "/scenarios-check", automate, self.check),
            Page("GET", SCENARIO + "/edit", automate, self.form),
            Page("POST", SCENARIO + "/edit", automate, self.save, is_audited=True),
        ]

    async def blank(self, visit: Visit) -> Answer:
        return self._form(visit, None, NEW_HEAD, NEW_CODE)

    async def form(self, visit: Visit) -> Answer:
        scenario = self._scenarios.get(visit.path["scenario"])
        return self._form(visit, scenario.name, *apart(scenario))

    async def add(self, visit: Visit) -> Answer:
        return await self._keep(visit, None)

    async def save(self, visit: Visit) -> Answer:
        return await self._keep(visit, self._scenarios.get(visit.path["scenario"]).name)

    async def check(self, visit: Visit) -> Answer:
        """Whether what is typed so far is a scenario, as JSON."""
        try:
            together(visit.field("head"), visit.field("code"))
        except FaultyError as error:
            return plain_json({"fault": error.fault})
        return plain_json({"fault": None})

    async def _keep(self, visit: Visit, name: str | None) -> Answer:
        """Save it, or rehearse it as it is typed; a fault is shown beside the text."""
        head, code = visit.field("head"), visit.field("code")
        try:
            scenario = together(head, code)
            if visit.field("do") == "rehearse":
                span = visit.field("span", "day")
                _, length_s = SPANS.get(span, SPANS["day"])
                end = self._templates.now()
                found = await self._scenarios.rehearse(scenario, end - length_s, end)
                return self._form(visit, name, head, code, rehearsal=found, span=span)
            view = await (self._scenarios.update(name, scenario) if name else self._scenarios.add(scenario))
        except FaultyError as error:
            return self._form(visit, name, head, code, error=error, fault=error.fault)
        except (BadInputError, ConflictError) as error:
            return self._form(visit, name, head, code, error=error)
        if visit.field("do") == "run":
            run = await self._scenarios.run(view.name, cause="asked")
            return redirect(scenario_path(view.name, f"/runs/{run.id}"))
        return redirect(scenario_path(view.name))

    def _form(
        self,
        visit: Visit,
        name: str | None,
        head: str,
        code: str,
        *,
        error: WayhouseError | None = None,
        fault: Fault | None = None,
        rehearsal: Rehearsal | None = None,
        span: str = "day",
    ) -> Answer:
        values: dict[str, Any] = {
            "scenario_name": name,
            "head": head.replace("\r\n", "\n"),
            "code": code.replace("\r\n", "\n"),
            "error": error.message if error else "",
            "fault": fault,
            "rehearsal": rehearsal,
            "span": span,
            "spans": SPANS,
            "outcomes": OUTCOMES,
            "because": because,
            "sources": self._sources.all(),
        }
        return self._templates.page(
            "scenario_edit.html", visit, status=error.status if error else 200, **values
        )
