"""One scenario as it stands: its definition, what it watches, its variables, its run. Held by `scenario_service`, which changes it."""

from __future__ import annotations

import asyncio

from wayhouse.automation.cron import Now
from wayhouse.automation.facts import Facts
from wayhouse.automation.model import NAME
from wayhouse.automation.parameter import MAX_TEXT, Plain
from wayhouse.automation.runs import MAX_VARIABLES, NotReadyError, RunSummary, ScenarioView, State
from wayhouse.automation.scenario import Scenario
from wayhouse.automation.scenario_run import ScenarioRun
from wayhouse.automation.watch import Watch
from wayhouse.base.errors import BadInputError, ConflictError

STATE = "state"
"""No variable's name: the key `/scenario/<name>/state` says the state."""


class Standing:
    """`lock` is held while it is changed or a run of it begins; `fault`: why it cannot be run or watched; `waiting_cause`: of a run that is to come; `told`: the state that was published."""

    def __init__(self, scenario: Scenario, variables: dict[str, Plain]) -> None:
        self.scenario = scenario
        self.variables = variables
        self.watch: Watch | None = None
        self.fault = ""
        self.run: ScenarioRun | None = None
        self.ended = asyncio.Event()
        self.lock = asyncio.Lock()
        self.waiting_cause: str | None = None
        self.last_run: RunSummary | None = None
        self.is_limited = False
        self.is_to_go_on = False
        """Its run is open on disk and will be carried on."""
        self.told: State | None = None

    @property
    def name(self) -> str:
        return self.scenario.name

    @property
    def state(self) -> State:
        if self.run is not None or self.is_to_go_on:
            return State.RUNNING
        if not self.scenario.conf.active:
            return State.ASLEEP
        if not self.scenario.is_ready:
            return State.UNREADY
        return State.BROKEN if self.fault else State.WATCHING

    @property
    def reason(self) -> str:
        if not self.scenario.is_ready:
            values, parameters = self.scenario.values, self.scenario.parameters
            missing = [
                one for one, wanted in parameters.items() if one not in values and wanted.default is None
            ]
            return f"Set {', '.join(missing)}."
        return self.fault

    def demand_ready(self) -> None:
        """Raises `NotReadyError`."""
        if self.reason:
            raise NotReadyError(f"`{self.name}` cannot run: {self.reason}")

    def check_variable(self, name: str, value: Plain | None) -> None:
        """Raises `BadInputError`, `ConflictError`."""
        if not NAME.fullmatch(name) or name == STATE:
            raise BadInputError(
                f"A variable has a name of 1 to 64 letters, digits and `_.-`, which is not `{STATE}`.",
                path="variable",
            )
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise BadInputError(f"A variable holds a text of at most {MAX_TEXT} characters.", path="value")
        if value is not None and name not in self.variables and len(self.variables) >= MAX_VARIABLES:
            raise ConflictError(f"A scenario has at most {MAX_VARIABLES} variables. Take one away first.")

    def view(self, facts: Facts, now: Now) -> ScenarioView:
        waits = list(self.watch.waits(now)) if self.watch is not None else []
        if self.run is not None and self.run.waiting is not None:
            waits.append(self.run.waiting)
        return ScenarioView(
            name=self.name,
            description=self.scenario.description,
            is_active=self.scenario.conf.active,
            at_startup=self.scenario.conf.startup,
            state=self.state,
            reason=self.reason,
            last_run=self.run.summary if self.run is not None else self.last_run,
            next_run=self.watch.next_run if self.watch is not None else None,
            values={name: facts.current(source) for name, source in self.scenario.entries.items()},
            variables=dict(self.variables),
            waits=waits,
        )
