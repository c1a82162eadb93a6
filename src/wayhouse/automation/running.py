"""Begins runs when scenarios fire, carries them on, ends them: the task that looks at all deadlines. Driven by `scenario_service`.

Rules: a firing is on disk, with what the trigger remembers of it, before it runs; a run that was open when the gateway ended is carried
on, but for one that was to stop, and one with more steps than can be repeated, which is begun anew if it runs at start-up.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from wayhouse.automation.cron import Now
from wayhouse.automation.doing import Home
from wayhouse.automation.runs import MAX_STEPS, Outcome, RunChanged, RunSummary, RunTrace, Step, StepTaken
from wayhouse.automation.sandbox_process import End
from wayhouse.automation.scenario_run import Means, ScenarioRun
from wayhouse.automation.scenario_store import Given, Open
from wayhouse.automation.standing import Standing
from wayhouse.automation.watch import Fire, Kept, Missed, Watch, WatchState
from wayhouse.base import ids
from wayhouse.base.errors import UnavailableError
from wayhouse.base.events import Events

LOOK_S = 30.0
GUARD_S = 1.0
STARTUP = "startup"
log = logging.getLogger(__name__)


class Running:
    """`tell` is called when what a scenario does is another. Whoever changes a scenario holds its `lock`."""

    def __init__(
        self,
        means: Means,
        events: Events,
        standings: Mapping[str, Standing],
        home: Callable[[Standing], Home],
        tell: Callable[[Standing], None],
    ) -> None:
        self._means, self._events, self._standings = means, events, standings
        self._home, self._tell = home, tell
        self._due: dict[Standing, None] = {}
        self._later: dict[Standing, None] = {}
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._is_stopping = False

    @property
    def is_going(self) -> bool:
        return bool(self._tasks)

    # ---- life

    def start(self, *, at_startup: bool) -> None:
        """Carry on what was open, run what runs at start-up, and begin to look."""
        self._due.clear()
        self._later.clear()
        self._is_stopping = False
        for one in self._means.store.open():
            self._take_up(one)
        for standing in self._standings.values():
            conf = standing.scenario.conf
            if at_startup and conf.active and conf.startup and standing.run is None and not standing.reason:
                standing.waiting_cause = standing.waiting_cause or STARTUP
            self._due[standing] = None
        self._looking = self._spawn(self._look(), "scenarios")
        self._spawn(self._guard(), "scenarios are guarded")

    async def stop(self) -> None:
        """Nothing is over: all of it can be carried on, and what has fired and not begun is to run then."""
        looking, self._looking = self._looking, None
        if looking is not None:
            self._is_stopping = True
            self._wake.set()
            await asyncio.wait([looking])
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        states = {one.name: one.watch.state(self._now()) for one in self._standings.values() if one.watch}
        causes = {one.name: cause for one in self._standings.values() if (cause := _to_come(one)) is not None}
        try:
            await self._means.store.remember(states, causes)
        except UnavailableError as error:
            log.error("what triggers remember is not on disk: %s", error)  # noqa: TRY400 - said well enough

    def look_at(self, standing: Standing) -> None:
        """There is something to do."""
        self._due[standing] = None
        self._wake.set()

    # ---- runs

    async def begin(self, standing: Standing, cause: str, state: WatchState | None = None) -> RunSummary:
        """A run; or that one more is to follow the one that runs, whose summary is answered then. Raises `UnavailableError`."""
        if standing.run is not None:
            await self._means.store.put_off(standing.name, cause, state)
            self.put_off(standing, cause)
            return standing.run.summary
        scenario = standing.scenario
        run = RunSummary(
            id=ids.short_id(16), scenario=scenario.name, cause=cause, started=self._means.outside.clock.wall()
        )
        given = Given(scenario.settings(), _fingerprint(scenario.code))
        await self._means.store.begin(run, given, state)
        standing.waiting_cause = None
        self._go(standing, run, given)
        self._events.publish(RunChanged(run))
        self._tell(standing)
        return run

    def put_off(self, standing: Standing, cause: str) -> None:
        """It is on disk that it is to run once more."""
        standing.waiting_cause = standing.waiting_cause or cause
        if standing.run is not None:
            standing.run.journal.remark("gateway", f"fired again ({cause}): it runs once more afterwards")
        self.look_at(standing)

    async def end(self, standing: Standing) -> RunSummary:
        """Ask the code to end, and wait for it. What was to follow does not. Raises `UnavailableError`."""
        run = standing.run
        if run is not None:
            await self._means.store.mark_stopping(run.summary.id)
            standing.waiting_cause = None
            run.stop()
            await standing.ended.wait()
        return standing.last_run or RunSummary(id="", scenario=standing.name, cause="", started=0.0)

    def trace(self, run_id: str) -> RunTrace:
        """With what is not on disk yet. Raises `NoSuchRunError`."""
        found = self._means.store.trace(run_id)
        standing = self._standings.get(found.run.scenario)
        if standing is None or standing.run is None or standing.run.summary.id != run_id:
            return found
        steps = {one.place: one for one in self._means.store.steps(run_id)}
        steps.update(standing.run.journal.waiting())
        shown = [steps[place].shown() for place in sorted(steps)]
        return msgspec.structs.replace(found, steps=shown[-MAX_STEPS:])

    # ---- inside

    def _take_up(self, one: Open) -> None:
        """A run that had not ended."""
        standing = self._standings.get(one.run.scenario)
        if standing is None:
            return
        fault = ""
        if one.is_cut:
            fault = f"The gateway ended after more than {MAX_STEPS} steps, which cannot be repeated."
        elif one.given.code != _fingerprint(standing.scenario.code):
            fault = "The code is another than the one that was run."
        end = End(Outcome.STOPPED) if one.is_stopping else End(Outcome.LOST, fault) if fault else None
        if end is None:
            self._go(standing, one.run, one.given)
        else:
            run = self._make(standing, one.run, Given({}, ""), is_cut=True)
            self._spawn(self._over(standing, run, end), f"scenario {standing.name}")

    def _go(self, standing: Standing, run: RunSummary, given: Given) -> None:
        standing.run = self._make(standing, run, given)
        standing.ended.clear()
        self._spawn(self._live(standing, standing.run), f"scenario {standing.name}")

    def _make(
        self, standing: Standing, run: RunSummary, given: Given, *, is_cut: bool = False
    ) -> ScenarioRun:
        def on_step(step: Step) -> None:
            self._events.publish(StepTaken(run.id, step))

        home, code = self._home(standing), standing.scenario.code
        return ScenarioRun(run, given, code, home, self._means, on_step, is_cut=is_cut)

    async def _live(self, standing: Standing, run: ScenarioRun) -> None:
        try:
            end = await run.live()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("scenario %s failed", standing.name)
            end = End(Outcome.FAILED, "The gateway failed to run it; its log says why.")
        await self._over(standing, run, end)

    async def _over(self, standing: Standing, run: ScenarioRun, end: End) -> None:
        summary = msgspec.structs.replace(
            run.summary,
            ended=self._means.outside.clock.wall(),
            outcome=end.outcome,
            error=end.error,
            line=end.line,
        )
        try:
            await self._means.store.end(summary, run.journal.rest())
        except UnavailableError as error:
            log.error("that a run of %s has ended is not on disk: %s", standing.name, error)  # noqa: TRY400 - said well enough
        standing.run, standing.last_run = None, summary
        if end.outcome is Outcome.LOST and standing.scenario.conf.startup and standing.scenario.conf.active:
            standing.waiting_cause = standing.waiting_cause or STARTUP
        standing.ended.set()
        self._events.publish(RunChanged(summary))
        if self._standings.get(standing.name) is standing:
            self._tell(standing)
            self.look_at(standing)

    async def _look(self) -> None:
        while not self._is_stopping:
            self._wake.clear()
            await self._settle_due()
            if not self._due and not self._is_stopping:
                await self._sleep()
                self._due.update(self._later)
                self._later.clear()

    async def _settle_due(self) -> None:
        now = self._now()
        for standing in self._standings.values():
            if standing.watch is not None and (
                standing in self._due or standing.watch.deadline() <= now.monotonic
            ):
                standing.watch.tick(now)
                self._due[standing] = None
        due, self._due = list(self._due), {}
        states: list[tuple[Standing, Watch, WatchState]] = []
        for standing in due:
            if not standing.lock.locked():  # whoever changes it has it looked at afterwards
                async with standing.lock:
                    await self._settle(standing, states)
        await self._remember([one for one in states if one[0].watch is one[1]])

    async def _settle(self, standing: Standing, states: list[tuple[Standing, Watch, WatchState]]) -> None:
        if self._standings.get(standing.name) is not standing:
            return
        watch = standing.watch
        found = watch.events() if watch is not None else []
        try:
            for one in found:
                await self._happened(standing, one)
            if standing.waiting_cause is not None and standing.run is None and not standing.reason:
                await self.begin(standing, standing.waiting_cause)
        except UnavailableError as error:
            log.error("scenario %s cannot run: %s", standing.name, error)  # noqa: TRY400 - said well enough
            self._try_again(standing, found)
        except Exception:  # the border: a defect with one scenario is not all of theirs
            log.exception("scenario %s cannot run", standing.name)
        if watch is not None and (state := watch.unsaved(self._now())) is not None:
            states.append((standing, watch, state))

    def _try_again(self, standing: Standing, found: Sequence[Fire | Kept | Missed]) -> None:
        """With the next look: the disk may take it then."""
        causes = [one.cause for one in found if isinstance(one, Fire)]
        if causes and standing.run is None:
            standing.waiting_cause = standing.waiting_cause or causes[0]
        if standing.watch is not None:
            standing.watch.not_saved()
        self._later[standing] = None

    async def _happened(self, standing: Standing, one: Fire | Kept | Missed) -> None:
        watch = standing.watch
        state = watch.unsaved(self._now()) if watch is not None else None
        match one:
            case Fire():
                standing.is_limited = False
                await self.begin(standing, one.cause, state)
            case Kept():
                await self._limited(standing, one, state)
            case Missed():
                log.info("scenario %s: `%s` passed without a run", standing.name, one.schedule)

    async def _limited(self, standing: Standing, one: Kept, state: WatchState | None) -> None:
        """Only the first one since it has run is noted: a sensor may say so many times a second."""
        if standing.is_limited:
            return
        standing.is_limited = True
        now = self._means.outside.clock.wall()
        text = f"`at_most` keeps it from running for {one.retry_after_s:.0f} s."
        run = RunSummary(
            id=ids.short_id(16), scenario=standing.name, cause=one.cause, started=now, ended=now,
            outcome=Outcome.LIMITED, error=text,
        )  # fmt: skip
        await self._means.store.note_run(run, state)
        standing.last_run = run
        self._events.publish(RunChanged(run))

    async def _remember(self, states: Sequence[tuple[Standing, Watch, WatchState]]) -> None:
        if not states:
            return
        try:
            await self._means.store.remember({standing.name: state for standing, _, state in states})
        except UnavailableError as error:
            log.error("what triggers remember is not on disk: %s", error)  # noqa: TRY400 - said well enough
            for standing, _, _ in states:
                self._try_again(standing, ())

    async def _sleep(self) -> None:
        """Until the next deadline, or until there is something to do."""
        now = self._means.outside.clock.monotonic()
        deadlines = (one.watch.deadline() for one in self._standings.values() if one.watch is not None)
        left = max(0.0, min(min(deadlines, default=LOOK_S + now) - now, LOOK_S))
        bell = self._means.tasks.spawn(self._ring(left), name="scenarios sleep")
        try:
            await self._wake.wait()
        finally:
            bell.cancel()

    async def _ring(self, seconds: float) -> None:
        await self._means.outside.clock.sleep(seconds)
        self._wake.set()

    async def _guard(self) -> None:
        """What computes too long is ended, and what waits to be written is written."""
        while True:
            await self._means.outside.clock.sleep(GUARD_S)
            for standing in tuple(self._standings.values()):
                if standing.run is not None:
                    standing.run.watch_over()
                    await self._flush(standing.run)

    async def _flush(self, run: ScenarioRun) -> None:
        try:
            await run.flush()
        except UnavailableError as error:
            log.error("steps of a run are not on disk: %s", error)  # noqa: TRY400 - said well enough

    def _spawn(self, work: object, name: str) -> asyncio.Task[None]:
        task = self._means.tasks.spawn(work, name=name)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _now(self) -> Now:
        return Now(self._means.outside.clock.monotonic(), self._means.outside.clock.wall())


def _to_come(standing: Standing) -> str | None:
    """Why a run of it is to begin, which has not."""
    found = standing.watch.events() if standing.watch is not None else []
    causes = (one.cause for one in found if isinstance(one, Fire))
    return standing.waiting_cause or next(causes, None)


def _fingerprint(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
