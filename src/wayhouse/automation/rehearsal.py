"""A dry run against recorded history: when would a scenario have run, and what would it have done. Called by `scenario_service`.

The trigger is fed with what its sources said, in order of time, and the code is run in the sandbox each time it fires. Rules: time is
virtual, so waits cost nothing; nothing is commanded, published or kept; sources are as they were then.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping

from wayhouse.automation.conversation import converse
from wayhouse.automation.cron import Now
from wayhouse.automation.history import History, VirtualTime
from wayhouse.automation.parameter import Plain
from wayhouse.automation.rehearsed_calls import RehearsedCalls, TooLongError
from wayhouse.automation.runs import Firing, Outcome, Rehearsal
from wayhouse.automation.sandbox_process import End, launch
from wayhouse.automation.scenario import Scenario
from wayhouse.automation.scenario_run import Means
from wayhouse.automation.watch import Fire, Kept, Watch
from wayhouse.base.errors import BadInputError

MAX_FIRINGS = 100
MAX_SPAN_S = 366 * 86400.0
MAX_STEPS = 500
PATIENCE_S = 30.0
"""For the whole rehearsal, and the computing of its code."""


async def rehearse(
    scenario: Scenario, start: float, end: float, means: Means, variables: Mapping[str, Plain]
) -> Rehearsal:
    """`variables`: what they are at the beginning. Raises `BadInputError`."""
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end and end - start <= MAX_SPAN_S):
        raise BadInputError("A rehearsal takes a start and an end, at most 366 days later, in Unix seconds.")
    history = await History.of(scenario.entries, start, end, means.outside.sources)
    return await _Stage(scenario, start, end, means, history, variables).play()


class _Stage:
    def __init__(
        self,
        scenario: Scenario,
        start: float,
        end: float,
        means: Means,
        history: History,
        variables: Mapping[str, Plain],
    ) -> None:
        self._scenario, self._start, self._end = scenario, start, end
        self._means, self._history = means, history
        self._variables = dict(variables)
        self._settings = scenario.settings()
        self._watch = Watch(scenario, means.outside.place, "rehearsal", Now(start, start))
        self._firings: list[Firing] = []
        self._busy_until, self._waiting_cause = -math.inf, ""
        self._limited = self._coalesced = 0
        self._is_cut = False

    async def play(self) -> Rehearsal:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._play()
        except TimeoutError:
            self._is_cut = True
        return Rehearsal(
            scenario=self._scenario.name, start=self._start, end=self._end, firings=self._firings,
            silent=self._history.silent, is_cut=self._is_cut, limited=self._limited, coalesced=self._coalesced,
        )  # fmt: skip

    async def _play(self) -> None:
        for at, source, value in self._history.facts():
            await self._pass(at)
            if self._is_cut:
                return
            self._watch.receive(source, value, Now(at, at))
            await self._fire(at)
        await self._pass(self._end)

    async def _pass(self, until: float) -> None:
        """What comes due by then, in order."""
        while not self._is_cut:
            due = min(self._watch.deadline(), self._busy_until if self._waiting_cause else math.inf)
            if due > until:
                return
            self._watch.tick(Now(due, due))
            await self._fire(due)

    async def _fire(self, at: float) -> None:
        causes = []
        for one in self._watch.events():
            self._limited += isinstance(one, Kept)
            if isinstance(one, Fire):
                causes.append(one.cause)
        if self._waiting_cause and at >= self._busy_until:
            causes.insert(0, self._waiting_cause)
            self._waiting_cause = ""
        for cause in causes:
            if at < self._busy_until:
                self._coalesced += bool(self._waiting_cause)
                self._waiting_cause = self._waiting_cause or cause
            elif not self._is_cut:
                await self._run(at, cause)

    async def _run(self, at: float, cause: str) -> None:
        if len(self._firings) >= MAX_FIRINGS:
            self._is_cut = True
            return
        time = VirtualTime(at)
        place = self._means.outside.place
        calls = RehearsedCalls(
            self._scenario, self._history, time, self._variables, place, MAX_STEPS, self._end
        )
        end = await self._perform(calls, at, cause)
        self._busy_until = time.now
        firing = Firing(
            at=at, cause=cause, ended=time.now, outcome=end.outcome, error=end.error, line=end.line,
            steps=calls.steps,
        )  # fmt: skip
        self._firings.append(firing)

    async def _perform(self, calls: RehearsedCalls, at: float, cause: str) -> End:
        begin = {
            "name": self._scenario.name, "code": self._scenario.code, "cause": cause,
            "entries": dict(self._scenario.entries), "settings": self._settings, "seed": f"{at}",
            "memory_bytes": self._means.settings.memory_bytes,
        }  # fmt: skip
        await self._means.slots.acquire()
        try:
            process = await launch(begin, self._means.outside.place.zone)
            try:
                async with asyncio.timeout(self._means.settings.cpu_s):
                    end = await converse(process, calls)
            except TimeoutError:
                return End(Outcome.LIMITED, f"It computed for {self._means.settings.cpu_s:g} s.")
            finally:
                await process.close()
        except (TooLongError, BadInputError) as error:
            return End(Outcome.LIMITED if isinstance(error, TooLongError) else Outcome.FAILED, error.message)
        finally:
            self._means.slots.release()
        return end or End(Outcome.LOST, "Its process ended.")
