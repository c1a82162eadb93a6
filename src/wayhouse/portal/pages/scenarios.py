"""All scenarios: what each does and how its last run ended; switch on and off, run, take in one from a file."""

from __future__ import annotations

import zlib

from wayhouse.access.policy import Right
from wayhouse.automation.importing import take_in
from wayhouse.automation.scenario_service import ScenarioManager
from wayhouse.base.errors import BadInputError, ConflictError, TooLargeError
from wayhouse.portal.model import Answer, Page, Visit, plain_json, redirect, scenario_path
from wayhouse.portal.scenario_rows import OUTCOMES, ScenarioRow, row_of
from wayhouse.portal.templates import Templates

SCENARIO = "/scenarios/{scenario}"


class ScenarioListPages:
    def __init__(self, scenarios: ScenarioManager, templates: Templates) -> None:
        self._scenarios = scenarios
        self._templates = templates

    def pages(self) -> list[Page]:
        see, automate = Right.SEE_DEVICES, Right.AUTOMATE
        return [
            Page("GET", "/scenarios", see, self.index),
            Page("GET", "/scenarios-live", see, self.live),
            Page("GET", "/scenarios-import", automate, self.import_form),
            Page("POST", "/scenarios-import", automate, self.take_in, is_audited=True),
            Page("GET", SCENARIO + "/row", see, self.row),
            Page("POST", SCENARIO + "/enable", automate, self.enable, is_audited=True),
            Page("POST", SCENARIO + "/run", automate, self.run, is_audited=True),
        ]

    async def index(self, visit: Visit) -> Answer:
        rows = self._rows()
        return self._templates.page("scenarios.html", visit, rows=rows, stamp=_stamp(rows), outcomes=OUTCOMES)

    async def live(self, visit: Visit) -> Answer:
        """What there is and the stamp of each, as JSON."""
        rows = self._rows()
        return plain_json(
            {
                "stamp": _stamp(rows),
                "scenarios": [{"name": row.view.name, "stamp": row.stamp} for row in rows],
            }
        )

    async def row(self, visit: Visit) -> Answer:
        row = row_of(self._scenarios.view(visit.path["scenario"]))
        return self._templates.page("_scenario_row.html", visit, row=row, outcomes=OUTCOMES)

    async def enable(self, visit: Visit) -> Answer:
        await self._scenarios.enable(visit.path["scenario"], active=visit.field("active") == "true")
        return await self._again(visit)

    async def run(self, visit: Visit) -> Answer:
        run = await self._scenarios.run(visit.path["scenario"], cause="asked")
        if visit.field("view") == "row" and visit.is_part:
            return await self.row(visit)
        return redirect(scenario_path(run.scenario, f"/runs/{run.id}"))

    async def import_form(self, visit: Visit) -> Answer:
        return self._templates.page("scenario_import.html", visit, text="", error="", found=None)

    async def take_in(self, visit: Visit) -> Answer:
        """One file in TOML or JSON, or a whole store."""
        text = visit.field("text").replace("\r\n", "\n")
        try:
            found = await take_in(self._scenarios, text, replace=visit.field("replace") == "yes")
        except (BadInputError, TooLargeError, ConflictError) as error:
            return self._templates.page(
                "scenario_import.html", visit, status=error.status, text=text, error=error.message, found=None
            )
        if len(found.added) == 1 and not found.refused:
            return redirect(scenario_path(found.added[0]))
        return self._templates.page("scenario_import.html", visit, text="", error="", found=found)

    async def _again(self, visit: Visit) -> Answer:
        name = visit.path["scenario"]
        if visit.field("view") == "row" and visit.is_part:
            return await self.row(visit)
        return redirect(scenario_path(name) if visit.field("view") == "page" else "/scenarios")

    def _rows(self) -> list[ScenarioRow]:
        return [row_of(view) for view in self._scenarios.list()]


def _stamp(rows: list[ScenarioRow]) -> str:
    return f"{zlib.crc32(repr([row.view.name for row in rows]).encode('utf-8', 'replace')):x}"
