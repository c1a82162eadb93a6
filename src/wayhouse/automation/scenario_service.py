"""The verbs on scenarios, and the one task that runs them when their time has come. RasPy's name for it is ScenarioManager.

Called by the API, the bus and the gateway, which feeds it facts. Rules: one run of a scenario at a time, and what fires meanwhile is one more
run afterwards; a firing, and what the trigger remembers of it, are on disk before it runs; a scenario that is changed is stopped first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence

import msgspec

from wayhouse.automation.cron import Now
from wayhouse.automation.doing import Change, Home, Outside
from wayhouse.automation.facts import SCENARIO, Facts
from wayhouse.automation.model import Place, Value, names
from wayhouse.automation.parameter import Plain
from wayhouse.automation.ports import Actions, Crons, Sources
from wayhouse.automation.rehearsal import rehearse
from wayhouse.automation.running import Running
from wayhouse.automation.runs import (
    NoSuchScenarioError,
    Rehearsal,
    RunSummary,
    RunTrace,
    ScenarioChanged,
    ScenarioExistsError,
    ScenarioSettings,
    ScenarioView,
)
from wayhouse.automation.scenario import Scenario
from wayhouse.automation.scenario_run import Means
from wayhouse.automation.scenario_store import ScenarioStore, putting_off, setting
from wayhouse.automation.slots import Slots
from wayhouse.automation.standing import Standing
from wayhouse.automation.watch import Watch, WatchState
from wayhouse.base import codec
from wayhouse.base.clock import Clock
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError, ConflictError, UnavailableError, WayhouseError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks

MAX_SCENARIOS = 1000
UP_WAIT_S = 15.0
"""How long a change waits for `start`, which waits for the bus."""
log = logging.getLogger(__name__)


class ScenarioManager:
    """`boot` names the present boot of the machine, for schedules `@reboot`. `place` is where the gateway is."""

    def __init__(  # noqa: PLR0913 - its ports, by name
        self,
        database: Database,
        clock: Clock,
        events: Events,
        tasks: Tasks,
        *,
        actions: Actions,
        sources: Sources,
        crons: Crons | None = None,
        place: Place | None = None,
        boot: str = "",
        settings: ScenarioSettings | None = None,
    ) -> None:
        """Raises `PermanentError` for a database of a newer version."""
        self._store = ScenarioStore(database)
        self._clock, self._events, self._sources, self._boot = clock, events, sources, boot
        self._place = place or Place()
        self._facts = Facts(sources, self._variable)
        self._standings: dict[str, Standing] = {}
        self._watchers: dict[str, list[Standing]] = {}
        self._naming = asyncio.Lock()
        self._going = asyncio.Event()
        self._remembered: dict[str, WatchState | None] | None = None
        settings = settings or ScenarioSettings()
        outside = Outside(actions, sources, crons, self._facts, clock, self._place)
        self._means = Means(self._store, outside, Slots(settings.processes), settings, tasks)
        self._running = Running(self._means, events, self._standings, self._home, self._tell)

    # ---- life

    def load(self) -> None:
        """Know what is on disk, before anybody asks; nothing runs before `start`, and changes wait for it."""
        if self._remembered is not None or self._running.is_going:
            return
        self._standings.clear()
        self._watchers.clear()
        self._remembered = {}
        for scenario, state, cause in self._store.load():
            standing = Standing(scenario, self._store.variables(scenario.name))
            standing.last_run = next(iter(self._store.runs(scenario.name, 1)), None)
            standing.waiting_cause = cause
            self._standings[scenario.name] = standing
            self._remembered[scenario.name] = state
        for one in self._store.open():
            if one.run.scenario in self._standings:
                self._standings[one.run.scenario].is_to_go_on = True

    def start(self, *, is_upgrade: bool = False) -> None:
        """Begin, and carry on the runs that are open. `is_upgrade`: the gateway has not been away, so that what runs at start-up
        and has ended is not run again."""
        if self._running.is_going:
            return
        self.load()
        remembered, self._remembered = self._remembered or {}, None
        for name, state in remembered.items():
            self._standings[name].is_to_go_on = False
            self._begin_watching(self._standings[name], state)
        self._running.start(at_startup=not is_upgrade)
        self._going.set()
        for standing in self._standings.values():
            self._tell(standing)
            for variable, value in standing.variables.items():
                self._publish(standing.name, variable, value)

    async def stop(self) -> None:
        """All processes are ended, and no run is over: the next `start`, in this process or another, carries them on. Until then
        what was last known can be looked at."""
        self._going.clear()
        await self._running.stop()

    def receive(self, source: str, value: Value) -> None:
        """A source says `value`. Called on the loop; never waits, never raises."""
        standings = self._watchers.get(source)
        if standings:
            now = self._now()
            for standing in standings:
                if standing.watch is not None and standing.watch.receive(source, value, now):
                    self._running.look_at(standing)
        self._facts.tell(source, value)

    # ---- looking

    @property
    def scenarios(self) -> dict[str, Scenario]:
        return {name: standing.scenario for name, standing in sorted(self._standings.items())}

    def get(self, name: str) -> Scenario:
        """Raises `NoSuchScenarioError`."""
        return self._standing(name).scenario

    def view(self, name: str) -> ScenarioView:
        """Raises `NoSuchScenarioError`."""
        return self._standing(name).view(self._facts, self._now())

    def list_keys(self) -> list[str]:
        """Names, in order."""
        return sorted(self._standings)

    def runs(self, name: str | None = None, *, limit: int = 50) -> list[RunSummary]:
        """The newest first. Raises `NoSuchScenarioError`."""
        if name is not None:
            self._standing(name)
        return self._store.runs(name, max(0, min(limit, 10_000)))

    def trace(self, run_id: str) -> RunTrace:
        """Raises `NoSuchRunError`."""
        return self._running.trace(run_id)

    def variables(self, name: str) -> dict[str, Plain]:
        """Raises `NoSuchScenarioError`."""
        return dict(self._standing(name).variables)

    # ---- changing

    async def add(self, scenario: Scenario) -> ScenarioView:
        """Raises `ScenarioExistsError`, `ConflictError` when there are too many, `UnavailableError`."""
        standing = Standing(scenario, {})
        await self._up()
        async with standing.lock:
            async with self._naming:
                self._refuse_taken(scenario.name)
                if len(self._standings) >= MAX_SCENARIOS:
                    raise ConflictError(f"There are {MAX_SCENARIOS} scenarios. Delete one first.")
                await self._store.add(scenario)
                self._standings[scenario.name] = standing
            return await self._wake(standing)

    async def update(self, name: str, scenario: Scenario) -> ScenarioView:
        """The name may be another; variables and runs stay. Raises `NoSuchScenarioError`, `ScenarioExistsError`, `UnavailableError`."""
        async with self._held(name) as standing:
            return await self._replace(standing, scenario)

    async def delete(self, name: str) -> None:
        """With its variables and runs. Raises `NoSuchScenarioError`, `UnavailableError`."""
        async with self._held(name) as standing:
            await self._running.end(standing)
            async with self._naming:
                await self._store.remove(name)
                self._end_watching(standing)
                self._forget(standing)
            self._events.publish(ScenarioChanged(name, None))

    async def enable(self, name: str, *, active: bool) -> ScenarioView:
        """Or disable, which stops it. Enabled, a scenario that runs at start-up runs. Raises `NoSuchScenarioError`, `UnavailableError`."""
        async with self._held(name) as standing:
            conf = msgspec.structs.replace(standing.scenario.conf, active=active)
            if conf == standing.scenario.conf:
                return self.view(name)
            return await self._replace(standing, msgspec.structs.replace(standing.scenario, conf=conf))

    async def configure(self, name: str, values: dict[str, Plain]) -> ScenarioView:
        """Set parameters; those that are not named stay. Raises `NoSuchScenarioError`, `BadInputError`, `UnavailableError`."""
        async with self._held(name) as standing:
            values = {**standing.scenario.values, **values}
            return await self._replace(standing, msgspec.structs.replace(standing.scenario, values=values))

    async def set_variable(self, name: str, variable: str, value: Plain | None) -> None:
        """None takes it away. Raises `NoSuchScenarioError`, `BadInputError`, `ConflictError`, `UnavailableError`."""
        async with self._held(name) as standing:
            standing.check_variable(variable, value)
            await self._store.set_variable(name, variable, value)
            self._assigned(standing, variable, value)

    # ---- running

    async def run(self, name: str, *, cause: str = "asked") -> RunSummary:
        """Also one that is asleep. While it runs: that run, and one more follows. Raises `NoSuchScenarioError`, `NotReadyError`,
        `UnavailableError`."""
        async with self._held(name) as standing:
            standing.demand_ready()
            return await self._running.begin(standing, cause)

    async def stop_run(self, name: str) -> RunSummary:
        """Returns when it has ended. Raises `NoSuchScenarioError`, `ConflictError` when it does not run, `UnavailableError`."""
        async with self._held(name) as standing:
            if standing.run is None:
                raise ConflictError(f"`{name}` does not run.")
            return await self._running.end(standing)

    async def rehearse(self, scenario: Scenario | str, start: float, end: float) -> Rehearsal:
        """When it would have run from `start` to `end`, and what it would have done. Raises `NoSuchScenarioError`, `BadInputError`."""
        variables: dict[str, Plain] = {}
        if isinstance(scenario, str):
            variables, scenario = self.variables(scenario), self.get(scenario)
        return await rehearse(scenario, start, end, self._means, variables)

    # ---- inside

    async def _up(self) -> None:
        """Raises `UnavailableError`."""
        try:
            async with asyncio.timeout(UP_WAIT_S):
                await self._going.wait()
        except TimeoutError:
            raise UnavailableError(
                "The scenarios are about to start and cannot be changed yet. Try again in a moment."
            ) from None

    async def _wake(self, standing: Standing) -> ScenarioView:
        """It is new, or another than before."""
        self._begin_watching(standing, None)
        if standing.scenario.conf.active and standing.scenario.conf.startup and not standing.reason:
            await self._running.begin(standing, "startup")
        self._tell(standing)
        return self.view(standing.name)

    @contextlib.asynccontextmanager
    async def _held(self, name: str) -> AsyncIterator[Standing]:
        """Nobody else changes it or begins a run of it. Raises `NoSuchScenarioError`, also when it is deleted meanwhile, and
        `UnavailableError`."""
        self._standing(name)
        await self._up()
        standing = self._standing(name)
        async with standing.lock:
            if self._standing(name) is not standing:
                self._standing("")
            try:
                yield standing
            finally:
                self._running.look_at(standing)

    async def _replace(self, standing: Standing, scenario: Scenario) -> ScenarioView:
        await self._running.end(standing)
        old, state = standing.name, standing.watch.state(self._now()) if standing.watch else None
        async with self._naming:
            if scenario.name != old:
                self._refuse_taken(scenario.name)
            self._end_watching(standing)
            try:
                await self._store.replace(old, scenario)
            except UnavailableError:
                self._begin_watching(standing, state)
                raise
            self._renamed(standing, scenario)
        return await self._wake(standing)

    def _renamed(self, standing: Standing, scenario: Scenario) -> None:
        """It is `scenario` now, whose name may be the same."""
        old = standing.name
        if scenario.name != old:
            self._forget(standing)
            self._standings[scenario.name] = standing
            self._events.publish(ScenarioChanged(old, None))
        standing.scenario, standing.waiting_cause = scenario, None
        if scenario.name != old:
            standing.told = None
            for variable, value in standing.variables.items():
                self._publish(scenario.name, variable, value)
        standing.last_run = next(iter(self._store.runs(scenario.name, 1)), None)

    def _begin_watching(self, standing: Standing, state: WatchState | None) -> None:
        standing.fault, standing.watch, standing.is_limited = "", None, False
        scenario = standing.scenario
        try:
            for source in scenario.entries.values():
                self._check(source)
            watch = Watch(scenario, self._place, self._boot, self._now(), state)
        except WayhouseError as error:
            standing.fault = error.message
            return
        if not scenario.conf.active or not scenario.is_ready:
            return
        standing.watch = watch
        for source in watch.sources:
            self._watchers.setdefault(source, []).append(standing)
            if not source.startswith("cron:"):
                watch.receive(source, self._facts.current(source), self._now())
        self._running.look_at(standing)

    def _end_watching(self, standing: Standing) -> None:
        for source in standing.watch.sources if standing.watch is not None else ():
            self._watchers[source].remove(standing)
            if not self._watchers[source]:
                del self._watchers[source]
        standing.watch = None

    def _check(self, source: str) -> None:
        """Raises `BadInputError`."""
        if not source.startswith(SCENARIO):
            self._sources.check(source)
        elif "/" not in source:
            raise BadInputError(f"`{source[:64]}` names no variable: say `scenario:<name>/<variable>`.")

    def _refuse_taken(self, name: str) -> None:
        if name in self._standings:
            raise ScenarioExistsError(
                f"There is a scenario `{name}` already. Delete it first or take another name."
            )

    def _forget(self, standing: Standing) -> None:
        del self._standings[standing.name]
        for key in ("state", *standing.variables):
            self._means.outside.actions.publish(f"/scenario/{standing.name}/{key}", b"")

    def _home(self, standing: Standing) -> Home:
        def assign(variable: str, value: Plain | None) -> Change:
            standing.check_variable(variable, value)
            work = setting(standing.name, variable, value)
            return work, lambda: self._assigned(standing, variable, value)

        def put_off(other: str) -> Change:
            wanted, cause = self._standing(other), f"scenario {standing.name}"
            wanted.demand_ready()
            return putting_off(other, cause), lambda: self._running.put_off(wanted, cause)

        return Home(standing.name, standing.scenario.entries, lambda: standing.variables, assign, put_off)

    def _assigned(self, standing: Standing, variable: str, value: Plain | None) -> None:
        if value is None:
            standing.variables.pop(variable, None)
        else:
            standing.variables[variable] = value
        self._publish(standing.name, variable, value)
        self.receive(f"{SCENARIO}{standing.name}/{variable}", value)
        self._events.publish(ScenarioChanged(standing.name, standing.view(self._facts, self._now())))

    def _publish(self, name: str, key: str, value: Plain | None) -> None:
        body = b"" if value is None else codec.encode_json(value)
        self._means.outside.actions.publish(f"/scenario/{name}/{key}", body)

    def _tell(self, standing: Standing) -> None:
        """Whoever listens, of what it is now."""
        if standing.told is not standing.state:
            standing.told = standing.state
            self._publish(standing.name, "state", standing.state.value)
        self._events.publish(ScenarioChanged(standing.name, standing.view(self._facts, self._now())))

    def _variable(self, scenario: str, name: str) -> Value:
        standing = self._standings.get(scenario)
        return None if standing is None else standing.variables.get(name)

    def _standing(self, name: str) -> Standing:
        try:
            return self._standings[name]
        except KeyError:
            raise NoSuchScenarioError(
                f"There is no scenario `{name[:64]}`. Known are: {names(sorted(self._standings))}."
            ) from None

    def _now(self) -> Now:
        return Now(self._clock.monotonic(), self._clock.wall())

    def list(self) -> Sequence[ScenarioView]:
        """All, by name."""
        return [self.view(name) for name in self.list_keys()]
